package packages

import (
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// apk is Alpine's: see apk(8), apk-version(8) and apk-search(8). It was not heard here.
func apk() *Manager {
	a := func(args ...string) []string {
		return append([]string{"apk", "--wait", "600", "--no-progress"}, args...)
	}
	return &Manager{
		Name:       "apk",
		Programs:   []string{"apk"},
		IDs:        []string{"alpine"},
		Env:        []string{"LC_ALL=C.UTF-8"},
		Refresh:    a("update"),
		Upgrade:    a("upgrade"),
		Install:    a("add"),
		Remove:     a("del"),
		Preview:    a("del", "--simulate"),
		Search:     a("search", "--verbose", "--description"),
		List:       a("version", "--limit", "<"),
		Manual:     []string{"cat", "/etc/apk/world"},
		Checks:     []Check{{Args: a("add", "--simulate")}},
		Repair:     [][]string{a("fix")},
		NoSecurity: "Alpine's index does not say which upgrades are for security",
		ReadSearch: func(out string, _ []string) []Package { return readApkSearch(out) },
		ReadList:   readApkVersions,
		ReadManual: fields,
		Carry:      apkCarry(),
		problems: []problem{
			saysMissing(`\(no such package\)`),
			says(ErrLocked, `Unable to lock database`),
			says(ErrFetch, `^(ERROR|WARNING): .*(fetching|opening|updating) .*(http|temporary error|No such file)`),
		},
	}
}

// apkName is NAME-VERSION, where a version begins with a digit and ends with -rNUMBER.
var apkName = pattern.Lazy(`^(\S+?)-(\d\S*-r\d+)$`)

// readApkVersions reads NAME-VERSION < NEWER.
func readApkVersions(out string) []Update {
	var updates []Update
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || f[1] != "<" {
			continue
		}
		if m := apkName().FindStringSubmatch(f[0]); m != nil {
			updates = append(updates, Update{Name: m[1], Installed: m[2], Available: f[2]})
		}
	}
	return updates
}

// readApkSearch reads NAME-VERSION - SUMMARY.
func readApkSearch(out string) []Package {
	var found []Package
	for _, line := range strings.Split(out, "\n") {
		name, summary, _ := strings.Cut(line, " - ")
		if m := apkName().FindStringSubmatch(strings.TrimSpace(name)); m != nil {
			found = append(found, Package{Name: m[1], Version: m[2], Summary: summary})
		}
	}
	return found
}
