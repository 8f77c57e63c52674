package packages

import (
	"context"
	"encoding/xml"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// zypper is of openSUSE and SUSE: see zypper(8), which lists its exit codes. Tumbleweed is
// upgraded by dup. What is said here was heard from zypper 1.14 with one repository.
func zypper() *Manager {
	z := func(args ...string) []string { return append([]string{"zypper", "--non-interactive"}, args...) }
	return &Manager{
		Name:     "zypper",
		Programs: []string{"zypper", "rpm"},
		IDs:      []string{"opensuse", "suse", "sles"},
		Env:      []string{"LC_ALL=C.UTF-8", "ZYPP_LOCK_TIMEOUT=600"},
		Refresh:  z("refresh"),
		Upgrade: []string{"sh", "-c", `if grep -qx 'ID="\{0,1\}opensuse-tumbleweed"\{0,1\}' /etc/os-release; then v=dup; else v=update; fi
exec zypper --non-interactive "$v"`},
		Install: z("install", "--"),
		Remove:  z("remove", "--"),
		Preview: z("remove", "--dry-run", "--"),
		Search:  []string{"zypper", "--non-interactive", "--xmlout", "search", "--type", "package", "--"},
		List:    []string{"zypper", "--non-interactive", "--xmlout", "list-updates"},
		Manual:  z("packages", "--userinstalled"),
		Checks:  []Check{{Args: []string{"rpm", "--verifydb"}}},
		Security: func(ctx context.Context, s *System) error {
			_, err := s.do(ctx, "upgrade what is about security", z("patch", "--category", "security"))
			return err
		},
		// Patches are about security, not packages: what one upgrades says its preview.
		SecurityNames: func(ctx context.Context, s *System) (map[string]bool, error) {
			r, err := s.do(ctx, "list what is about security", z("patch", "--dry-run", "--category", "security"))
			return patched(r.out), err
		},
		ReadSearch: func(out string, _ []string) []Package { return readSolvables(out) },
		ReadList:   readZypperUpdates,
		ReadManual: readZypperTable,
		Kept:       rpmKept,
		Fine:       map[int]bool{100: true, 101: true, 102: true, 103: true, 106: true, 107: true},
		Carry:      zypperCarry(),
		problems: []problem{
			saysMissing(`^No provider of '.*' found|'.*' not found in package names`),
			says(ErrLocked, `System management is locked by`),
			says(ErrFetch, `Valid metadata not found|Failed to (retrieve|download)`),
			says(ErrFetch, `Problem retrieving files|not found on medium|Download \(curl\) error|could not be refreshed|Repository '.*' is invalid`),
		},
	}
}

// upgradedLine introduces the packages that zypper would upgrade.
var upgradedLine = pattern.Lazy(`^The following (?:\d+ )?packages? (?:is|are) going to be upgraded:`)

// patched are the packages of a preview.
func patched(out string) map[string]bool {
	names := map[string]bool{}
	in := false
	for _, line := range strings.Split(out, "\n") {
		switch {
		case upgradedLine().MatchString(line):
			in = true
		case in && strings.HasPrefix(line, "  "):
			for _, n := range strings.Fields(line) {
				names[n] = true
			}
		default:
			in = false
		}
	}
	return names
}

// zypperStream is of its document what is read here.
type zypperStream struct {
	Updates []struct {
		Kind    string `xml:"kind,attr"`
		Name    string `xml:"name,attr"`
		Edition string `xml:"edition,attr"`
		Old     string `xml:"edition-old,attr"`
	} `xml:"update-status>update-list>update"`
	Solvables []struct {
		Name    string `xml:"name,attr"`
		Summary string `xml:"summary,attr"`
		Edition string `xml:"edition,attr"`
	} `xml:"search-result>solvable-list>solvable"`
}

func readZypperUpdates(out string) []Update {
	var doc zypperStream
	if xml.Unmarshal([]byte(out), &doc) != nil {
		return nil
	}
	var updates []Update
	for _, u := range doc.Updates {
		if u.Kind == "package" {
			updates = append(updates, Update{Name: u.Name, Installed: u.Old, Available: u.Edition})
		}
	}
	return updates
}

// readSolvables reads a search. It says either a summary or a version, not both, and the
// former tells more to who searches.
func readSolvables(out string) []Package {
	var doc zypperStream
	if xml.Unmarshal([]byte(out), &doc) != nil {
		return nil
	}
	var found []Package
	for _, s := range doc.Solvables {
		found = append(found, Package{Name: s.Name, Version: s.Edition, Summary: s.Summary})
	}
	return found
}

// readZypperTable reads the third column of a table.
func readZypperTable(out string) []string {
	var names []string
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Split(line, "|"); len(f) >= 4 && strings.HasPrefix(f[0], "i") {
			names = append(names, strings.TrimSpace(f[2]))
		}
	}
	return names
}
