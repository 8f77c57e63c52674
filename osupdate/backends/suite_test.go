package backends_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var isBackend = regexp.MustCompile(`osupdate\.Backend\s+= \(\*Backend\)\(nil\)`)

// TestEveryBackendPassesTheSuite: a backend whose tests do not run osupdatetest.Run
// fails here, before anybody has to remember it. One that only looks has no upgrade to
// run it with.
func TestEveryBackendPassesTheSuite(t *testing.T) {
	found := 0
	dirs, err := filepath.Glob("../*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		var code, tests strings.Builder
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				tests.Write(data)
			} else {
				code.Write(data)
			}
		}
		if !isBackend.MatchString(code.String()) || filepath.Base(dir) == "observe" {
			continue
		}
		found++
		if !strings.Contains(tests.String(), "osupdatetest.Run(t, ") {
			t.Errorf("osupdate/%s is a backend, and its tests do not run the shared suite", filepath.Base(dir))
		}
	}
	if found < 6 {
		t.Errorf("only %d backends were found", found)
	}
}
