package packages

import (
	"context"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// What the package managers on top of rpm(8) have in common.

// newBeside is what rpm says of a configuration file that was changed here.
var newBeside = pattern.Lazy(`(?m)(/\S+) created as /\S+\.rpmnew`)

func rpmKept(out string) []string {
	var files []string
	for _, m := range newBeside().FindAllStringSubmatch(out, -1) {
		files = append(files, m[1])
	}
	return files
}

// rpmInstalled lists names and versions of what is installed.
const rpmInstalled = `rpm --query --all --queryformat '%{NAME} %{EVR}\n'`

// readUpgrades reads NAME VERSION of what there is, and behind a line "--" of what is
// installed.
func readUpgrades(out string) []Update {
	newer, have, _ := strings.Cut(out, "--\n")
	installed := map[string]string{}
	for _, line := range strings.Split(have, "\n") {
		name, version, _ := strings.Cut(line, " ")
		installed[name] = strings.TrimPrefix(version, "(none):")
	}
	var updates []Update
	seen := map[string]bool{}
	for _, line := range strings.Split(newer, "\n") {
		name, version, ok := strings.Cut(line, " ")
		if ok && plausible(name, version) && !seen[name] {
			seen[name] = true
			updates = append(updates, Update{Name: name, Installed: installed[name], Available: version})
		}
	}
	return updates
}

// dnf5 is Fedora's since release 41.
func dnf5() *Manager { return dnfOf("dnf5") }

// dnf is the fourth one, of Red Hat's and older Fedora releases.
func dnf() *Manager { return dnfOf("dnf") }

// dnfOf is either: see dnf5(8) and dnf(8). What is said here was heard
// from dnf 4.23 and dnf5 5.4, of which the latter knows \n in a format and no \t.
func dnfOf(program string) *Manager {
	const row = `--qf '%{name} %{evr}\n'`
	return &Manager{
		Name:     program,
		Programs: []string{program, "rpm"},
		IDs:      []string{"fedora", "rhel", "centos"},
		Env:      []string{"LC_ALL=C.UTF-8"},
		Refresh:  []string{program, "-y", "makecache", "--refresh"},
		Upgrade:  []string{program, "-y", "upgrade"},
		Install:  []string{program, "-y", "install"},
		Remove:   []string{program, "-y", "remove"},
		Preview:  []string{program, "--assumeno", "remove"},
		Search:   []string{"sh", "-c", "exec " + program + ` -q repoquery --available --latest-limit=1 --qf '%{name} %{evr} %{summary}\n'`, "sh"},
		List:     []string{"sh", "-c", program + " -q repoquery --upgrades " + row + " && echo -- && " + rpmInstalled},
		Manual:   []string{program, "-q", "repoquery", "--userinstalled", "--qf", "%{name}\n"},
		Checks:   []Check{{Args: []string{"rpm", "--verifydb"}}, {Args: []string{program, "-q", "check"}}},
		Security: func(ctx context.Context, s *System) error {
			_, err := s.do(ctx, "upgrade what is about security", []string{program, "-y", "upgrade", "--security"})
			return err
		},
		SecurityNames: func(ctx context.Context, s *System) (map[string]bool, error) {
			r, err := s.do(ctx, "list what is about security", []string{"sh", "-c", program + " -q repoquery --upgrades --security " + row})
			names := map[string]bool{}
			for _, n := range fields(r.out) {
				names[n] = true
			}
			return names, err
		},
		ReadSearch: readRows,
		ReadList:   readUpgrades,
		ReadManual: fields,
		Kept:       rpmKept,
		Aborts:     1,
		Carry:      dnfCarry(program),
		problems: []problem{
			saysMissing(`^(Error: )?Unable to find a match: |^No match for argument`),
			says(ErrLocked, `Failed to obtain the transaction lock`),
			says(ErrFetch, `Failed to (download|synchronize cache|synchronise)|Cannot download|Errors during downloading metadata`),
			says(ErrFetch, `All mirrors were tried|Usable URL not found|Curl error \(`),
		},
	}
}

// readRows reads NAME VERSION SUMMARY of all packages, and keeps those that have
// every word in name or summary, as the search of dnf does.
func readRows(out string, words []string) []Package {
	var found []Package
	for _, line := range strings.Split(out, "\n") {
		f := strings.SplitN(line, " ", 3)
		if len(f) < 3 || !plausible(f[0], f[1]) {
			continue
		}
		text := strings.ToLower(f[0] + " " + f[2])
		all := true
		for _, w := range words {
			all = all && strings.Contains(text, strings.ToLower(w))
		}
		if all {
			found = append(found, Package{Name: f[0], Version: f[1], Summary: f[2]})
		}
	}
	return found
}
