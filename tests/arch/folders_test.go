package arch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// folders returns the folders that the first column of the table "Folders" names, once
// for each time that it names them.
func folders(text string) []string {
	_, table, _ := strings.Cut(text, "\n## Folders\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var names []string
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "| `") {
			continue
		}
		cells := strings.Split(row, "|")
		for _, quoted := range regexp.MustCompile("`([^`]+)/`").FindAllStringSubmatch(cells[1], -1) {
			names = append(names, quoted[1])
		}
		if cells[1] == " `internal/` " {
			for _, leaf := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[2], -1) {
				names = append(names, "internal/"+leaf[1])
			}
		}
	}
	return names
}

// wrongFolders describes the folders of the table that it names twice and those
// that are not in the tree below dir.
func wrongFolders(text, dir string) []string {
	var wrong []string
	names := folders(text)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			wrong = append(wrong, name+"/ has two rows")
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			wrong = append(wrong, fmt.Sprintf("%s/ is no folder: %v", name, err))
		}
	}
	return wrong
}

func TestFoldersOfTheArchitecture(t *testing.T) {
	data, err := os.ReadFile(root + "/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(folders(string(data))); n < 80 {
		t.Fatalf("the table names %d folders: it is not read", n)
	}
	for _, wrong := range wrongFolders(string(data), root) {
		t.Error("ARCHITECTURE.md: " + wrong)
	}
}

func TestWrongFolders(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"cmd/box", "internal/fail"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "\n## Folders\n| folder | one job |\n|---|---|\n| `cmd/box/` | a |\n| `cmd/`, `cmd/box/` | of `cmd/full/` |\n" +
		"| `internal/` | leaves: `fail` `gone` |\n\n## Next\n| `else/` | b |\n"
	got := wrongFolders(text, dir)
	if len(got) != 2 || got[0] != "cmd/box/ has two rows" || !strings.HasPrefix(got[1], "internal/gone/ is no folder: ") {
		t.Errorf("%q", got)
	}
}
