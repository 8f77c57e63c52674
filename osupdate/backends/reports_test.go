package backends_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReports holds docs/updaters/reports.md to the tests: each report has a row, and
// each test that it names is there.
func TestReports(t *testing.T) {
	data, err := os.ReadFile("../../docs/updaters/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || !strings.Contains(path, "osupdate") && !strings.Contains(path, "../cmd/") {
			return err
		}
		code, err := os.ReadFile(path)
		tests.Write(code)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(data), -1) {
		if !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
	for kind, most := range map[string]int{"H": 25, "R": 31, "B": 20, "C": 10, "T": 3, "S": 8, "A": 2, "F": 5} {
		for n := 1; n <= most; n++ {
			row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| %s%d \\|.*`Test", kind, n))
			if !row.Match(data) {
				t.Errorf("%s%d has no row with a test", kind, n)
			}
		}
	}
}
