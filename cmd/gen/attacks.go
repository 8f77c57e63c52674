package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// testNames finds where a test's name begins with a number of docs/attacks.md:
// functions, entries of suites and subtests.
var testNames = regexp.MustCompile(`(?m)^func (Test([BDEFHISX]\d+)(?:_|[A-Z])\w*)\(|` +
	`^\s*\{"(([BDEFHISX]\d+)_\w+)", \w+\},|\.Run\("(([BDEFHISX]\d+)[ _][^"]*)"`)

var scriptName = regexp.MustCompile(`^([bdefhisx]\d+)-.*\.txtar$`)

// attackTests lists the tests below root by the number in their names.
func attackTests(root string) (map[string][]string, error) {
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && (d.Name() == ".git" || path == filepath.Join(root, "bin")) {
				return filepath.SkipDir
			}
			return err
		}
		if m := scriptName.FindStringSubmatch(d.Name()); m != nil {
			id := strings.ToUpper(m[1])
			rel, err := filepath.Rel(root, path)
			out[id] = append(out[id], rel)
			return err
		}
		if !strings.HasSuffix(path, "_test.go") && !(strings.HasSuffix(path, ".go") && filepath.Base(filepath.Dir(path)) == "bridgetest") {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range testNames.FindAllStringSubmatch(string(data), -1) {
			id := m[2] + m[4] + m[6]
			out[id] = append(out[id], m[1]+m[3]+m[5])
		}
		return err
	})
	for id := range out {
		slices.Sort(out[id])
		out[id] = slices.Compact(out[id])
	}
	return out, err
}

// attackRow is a row of the table: number, case, what tbx does, tests.
var attackRow = regexp.MustCompile(`(?m)^(\| ([BDEFHISX]\d+) \| .* \| (?:(as [BDEFHISX]\d+)|.*) \|) .*\|$`)

// attacks returns the text of docs/attacks.md with the tests that there are now, and
// the numbers of its rows without one.
func attacks(text string, tests map[string][]string) (now string, without []string) {
	now = attackRow.ReplaceAllStringFunc(text, func(row string) string {
		m := attackRow.FindStringSubmatch(row)
		names := tests[m[2]]
		switch {
		case m[3] != "":
			names = tests[strings.TrimPrefix(m[3], "as ")]
			if len(names) > 0 {
				return m[1] + " " + m[3] + " |"
			}
			fallthrough
		case len(names) == 0:
			without = append(without, m[2])
			return m[1] + " |"
		}
		return fmt.Sprintf("%s `%s` |", m[1], strings.Join(names, "`, `"))
	})
	return now, without
}

// writeAttacks brings the last column of docs/attacks.md up to date.
func writeAttacks(root string) error {
	file := filepath.Join(root, "docs/attacks.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tests, err := attackTests(root)
	if err != nil {
		return err
	}
	now, _ := attacks(string(text), tests)
	return os.WriteFile(file, []byte(now), 0o644)
}
