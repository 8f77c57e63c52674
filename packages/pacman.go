package packages

import (
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// pacmanList compares with a database of its own, as checkupdates of pacman-contrib does:
// to refresh the system's without an upgrade would let the next install bring half of one.
const pacmanList = `d=$(mktemp -d) && ln -s /var/lib/pacman/local "$d/local" || exit 1
pacman -Sy --dbpath "$d" --logfile /dev/null --noconfirm --color never >&2 || { rm -rf "$d"; exit 2; }
pacman -Qu --dbpath "$d" --color never
rm -rf "$d"`

// pacman is Arch's: see pacman(8). What is said here was heard from pacman 7.0.
func pacman() *Manager {
	return &Manager{
		Name:       "pacman",
		Programs:   []string{"pacman"},
		IDs:        []string{"arch"},
		Env:        []string{"LC_ALL=C.UTF-8"},
		Upgrade:    []string{"pacman", "-Syu", "--noconfirm", "--color", "never"},
		Install:    []string{"pacman", "-S", "--needed", "--noconfirm", "--color", "never", "--"},
		Remove:     []string{"pacman", "-Rc", "--noconfirm", "--color", "never", "--"},
		Preview:    []string{"pacman", "-Rc", "--print", "--print-format", "%n %v", "--noconfirm", "--"},
		Search:     []string{"pacman", "-Ss", "--color", "never", "--"},
		List:       []string{"sh", "-c", pacmanList},
		Manual:     []string{"pacman", "-Qqe"},
		Checks:     []Check{{Args: []string{"pacman", "-Dk", "--color", "never"}}},
		NoSecurity: "Arch has no packages that are for security alone, and none of its upgrades is in part",
		ReadSearch: func(out string, _ []string) []Package { return readPacmanSearch(out) },
		ReadList:   readArrows,
		ReadManual: fields,
		Kept:       pacmanKept,
		Carry:      pacmanCarry(),
		problems: []problem{
			saysMissing(`^error: target not found:`),
			says(ErrLocked, `unable to lock database`),
			says(ErrFetch, `failed retrieving file|failed to synchronize all databases|database file for '.*' does not exist`),
		},
	}
}

var pacnew = pattern.Lazy(`(?m)^warning: (/\S+) installed as /\S+\.pacnew`)

func pacmanKept(out string) []string {
	var files []string
	for _, m := range pacnew().FindAllStringSubmatch(out, -1) {
		files = append(files, m[1])
	}
	return files
}

// readArrows reads NAME OLD -> NEW.
func readArrows(out string) []Update {
	var updates []Update
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) >= 4 && f[2] == "->" && plausible(f[0], f[3]) {
			updates = append(updates, Update{Name: f[0], Installed: f[1], Available: f[3]})
		}
	}
	return updates
}

// readPacmanSearch reads REPOSITORY/NAME VERSION and the summary in the next line.
func readPacmanSearch(out string) []Package {
	var found []Package
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case strings.HasPrefix(line, "    "):
			if len(found) > 0 {
				found[len(found)-1].Summary = strings.TrimSpace(line)
			}
		case len(f) >= 2 && strings.Contains(f[0], "/"):
			_, name, _ := strings.Cut(f[0], "/")
			if !plausible(name, f[1]) {
				continue
			}
			found = append(found, Package{Name: name, Version: f[1]})
		}
	}
	return found
}
