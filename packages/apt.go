package packages

import (
	"context"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// aptGet is apt-get as it is called for changes: it asks nothing, dpkg keeps the user's
// configuration files, it waits for another one at work, and a name is no pattern, see
// apt-get(8), apt.conf(5) and dpkg(1). An index that cannot be fetched is a failure.
func aptGet(args ...string) []string {
	return append([]string{
		"apt-get", "--quiet", "--yes", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
		"-o", "DPkg::Lock::Timeout=600", "-o", "APT::Cmd::Pattern-Only=true", "-o", "APT::Update::Error-Mode=any", "-o", "Dpkg::Use-Pty=0",
	}, args...)
}

// apt is Debian's, of Debian, Ubuntu and what is made of them.
func apt() *Manager {
	return &Manager{
		Name:     "apt",
		Programs: []string{"apt-get", "apt-cache", "apt-mark", "dpkg"},
		IDs:      []string{"debian", "ubuntu"},
		Env: []string{"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "APT_LISTCHANGES_FRONTEND=none",
			"APT_LISTBUGS_FRONTEND=none", "UCF_FORCE_CONFFOLD=1", "NEEDRESTART_MODE=l"},
		Refresh:    aptGet("update"),
		Upgrade:    aptGet("--with-new-pkgs", "upgrade"),
		Install:    aptGet("--no-remove", "install", "--"),
		Remove:     aptGet("remove", "--"),
		Preview:    aptGet("--simulate", "remove", "--"),
		Search:     []string{"apt-cache", "search", "--full", "--"},
		Names:      []string{"apt-cache", "--no-generate", "pkgnames", "--"},
		List:       []string{"apt-get", "--quiet", "--simulate", "-o", "Debug::NoLocking=1", "--with-new-pkgs", "upgrade"},
		Manual:     []string{"apt-mark", "showmanual"},
		Repair:     [][]string{{"dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"}, aptGet("--fix-broken", "install")},
		Checks:     []Check{{Args: []string{"dpkg", "--audit"}, Quiet: true}, {Args: []string{"apt-get", "--quiet", "check"}}},
		Security:   aptSecurity,
		ReadSearch: func(out string, _ []string) []Package { return readStanzas(out) },
		ReadList:   readSimulation,
		ReadManual: fields,
		Kept:       keptFiles,
		Carry:      aptCarry(),
		problems: []problem{
			saysMissing(`^E: (Unable to locate package|Package '.*' has no installation candidate|Version '.*' for '.*' was not found)`),
			says(ErrLocked, `^E: (Could not get lock|Unable to acquire the dpkg frontend lock)|^dpkg: error: .*lock`),
			says(ErrSpace, `^E: You don't have enough free space`),
			says(ErrFetch, `^[EW]: (Failed to fetch|The repository .* (does not have|no longer has) a Release file|Some index files failed)`),
			says(ErrFetch, `404 +Not Found`),
			says(ErrBroken, `^E: dpkg was interrupted|^E: Unmet dependencies`),
		},
	}
}

// installed is a line of apt-get --simulate: Inst NAME [OLD] (NEW ORIGIN:RELEASE/SUITE, … [ARCH])
var installed = pattern.Lazy(`^Inst (\S+) (?:\[([^]]*)\] )?\((\S+) ?([^)]*)\)`)

// readSimulation reads what apt-get --simulate upgrade would install. What only comes
// along has no installed version, and is left out.
func readSimulation(out string) []Update {
	var updates []Update
	for _, line := range strings.Split(out, "\n") {
		if m := installed().FindStringSubmatch(line); m != nil && m[2] != "" {
			updates = append(updates, Update{Name: m[1], Installed: m[2], Available: m[3], Security: securityOrigin(m[4])})
		}
	}
	return updates
}

// securityOrigin says whether one of the sources of a version is one for security:
// Debian-Security:12/stable-security, Ubuntu:24.04/noble-security.
func securityOrigin(sources string) bool {
	for _, s := range strings.Split(sources, ",") {
		if f := strings.Fields(s); len(f) > 0 && strings.HasSuffix(f[0], "-security") {
			return true
		}
	}
	return false
}

// aptSecurity upgrades the packages of which a source for security has something newer.
func aptSecurity(ctx context.Context, s *System) error {
	updates, err := s.Outdated(ctx)
	if err != nil {
		return err
	}
	args := aptGet("--no-remove", "--only-upgrade", "install", "--")
	for _, u := range updates {
		if u.Security {
			args = append(args, u.Name)
		}
	}
	_, err = s.do(ctx, "upgrade what is about security", args)
	return err
}

// readStanzas reads packages as deb822(5) has them.
func readStanzas(out string) []Package {
	var found []Package
	seen := map[string]bool{}
	for _, stanza := range strings.Split(out, "\n\n") {
		var p Package
		for _, line := range strings.Split(stanza, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch {
			case key == "Package":
				p.Name = value
			case key == "Version":
				p.Version = value
			case p.Summary == "" && (key == "Description" || strings.HasPrefix(key, "Description-") && key != "Description-md5"):
				p.Summary = value
			}
		}
		if p.Name != "" && !seen[p.Name] {
			seen[p.Name] = true
			found = append(found, p)
		}
	}
	return found
}

// keptFile is what dpkg says of a configuration file that both sides have changed.
var keptFile = pattern.Lazy(`(?m)^Configuration file '([^']+)'\n(?:.*\n)*? ==> Keeping old config file as default\.`)

func keptFiles(out string) []string {
	var files []string
	for _, m := range keptFile().FindAllStringSubmatch(out, -1) {
		files = append(files, m[1])
	}
	return files
}
