package packages

import (
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// xbps is Void's: see xbps-install(1), xbps-query(1), xbps-remove(1) and xbps-pkgdb(1). It
// was not heard here. xbps itself comes first, or nothing else is upgraded.
func xbps() *Manager {
	return &Manager{
		Name:       "xbps",
		Programs:   []string{"xbps-install", "xbps-query", "xbps-remove", "xbps-pkgdb"},
		IDs:        []string{"void"},
		Env:        []string{"LC_ALL=C.UTF-8"},
		Refresh:    []string{"xbps-install", "-S"},
		Upgrade:    []string{"sh", "-c", "xbps-install -Suy xbps && exec xbps-install -Suy"},
		Install:    []string{"xbps-install", "-y"},
		Remove:     []string{"xbps-remove", "-Ry"},
		Preview:    []string{"xbps-remove", "-Rn"},
		Search:     []string{"xbps-query", "-Rs"},
		List:       []string{"xbps-install", "-Mun"},
		Manual:     []string{"xbps-query", "-m"},
		Checks:     []Check{{Args: []string{"xbps-pkgdb", "-a", "--checks", "dependencies"}}},
		Repair:     [][]string{{"xbps-reconfigure", "-a"}},
		NoSecurity: "Void's index does not say which upgrades are for security",
		ReadSearch: func(out string, _ []string) []Package { return readXbpsSearch(out) },
		ReadList:   readXbpsPlan,
		ReadManual: func(out string) []string {
			var names []string
			for _, f := range fields(out) {
				if m := xbpsName().FindStringSubmatch(f); m != nil {
					names = append(names, m[1])
				}
			}
			return names
		},
		Carry: xbpsCarry(),
		problems: []problem{
			saysMissing(`not found in repository pool`),
			says(ErrLocked, `pkgdb.*(lock|Resource temporarily unavailable)`),
			says(ErrFetch, `failed to fetch|ERROR: .*(resolve|timed out)`),
		},
	}
}

// xbpsName is NAME-VERSION_REVISION.
var xbpsName = pattern.Lazy(`^(\S+)-([^-\s]+_\d+)$`)

// readXbpsPlan reads PACKAGE ACTION and more, of which the action update counts.
func readXbpsPlan(out string) []Update {
	var updates []Update
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[1] != "update" {
			continue
		}
		if m := xbpsName().FindStringSubmatch(f[0]); m != nil {
			updates = append(updates, Update{Name: m[1], Available: m[2]})
		}
	}
	return updates
}

// readXbpsSearch reads [*] NAME-VERSION SUMMARY.
func readXbpsSearch(out string) []Package {
	var found []Package
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[0], "[") {
			continue
		}
		if m := xbpsName().FindStringSubmatch(f[1]); m != nil {
			_, rest, _ := strings.Cut(line, f[1])
			found = append(found, Package{Name: m[1], Version: m[2], Summary: strings.TrimSpace(rest)})
		}
	}
	return found
}
