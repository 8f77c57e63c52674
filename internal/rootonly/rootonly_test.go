package rootonly_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/rootonly"
)

// What packages install is root's; what a user has made, or can get at on any step
// of the way, is not.
func TestS12_OnlyRootCanChange(t *testing.T) {
	for _, path := range []string{"/usr/bin/env", "/bin/sh", "/usr/bin/../bin/./env"} {
		if err := rootonly.Check(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"env", "./env", "/usr/bin/none", ""} {
		if rootonly.Check(path) == nil {
			t.Errorf("%q is root's", path)
		}
	}
	dir := t.TempDir()
	if os.Getuid() != 0 {
		file := filepath.Join(dir, "own")
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := rootonly.Check(file); err == nil || !strings.Contains(err.Error(), "belongs to user") {
			t.Errorf("a user's own: %v", err)
		}
		return
	}
	for os.Chmod(dir, 0o755) == nil && rootonly.Check(dir) != nil { // the way to where tests are
		t.Skipf("tests are where others can write: %v", rootonly.Check(dir))
	}
	way := filepath.Join(dir, "a", "b")
	file := filepath.Join(way, "tbx")
	for name, spoil := range map[string]func() error{
		"":                           func() error { return nil },
		"the file is a user's":       func() error { return os.Chown(file, 54321, 0) },
		"the file is writable":       func() error { return os.Chmod(file, 0o777) },
		"for the group":              func() error { return os.Chmod(file, 0o775) },
		"and has the sticky bit":     func() error { return os.Chmod(file, 0o777|os.ModeSticky) },
		"its directory is a user's":  func() error { return os.Chown(way, 54321, 0) },
		"its directory is writable":  func() error { return os.Chmod(way, 0o775) },
		"one further up is a user's": func() error { return os.Chown(filepath.Dir(way), 54321, 0) },
		"the file is a user's link":  func() error { os.Rename(file, file+"-"); os.Symlink(file+"-", file); return os.Lchown(file, 54321, 0) },
		"a link to a user's file": func() error {
			os.Rename(file, file+"-")
			os.Symlink(file+"-", file)
			return os.Chown(file+"-", 54321, 0)
		},
		"a link to a user's way":      func() error { os.Rename(way, way+"-"); os.Symlink("b-", way); return os.Chown(way+"-", 54321, 0) },
		"a link that leads to itself": func() error { os.Remove(file); return os.Symlink("tbx", file) },
		"nothing is there":            func() error { return os.Remove(file) },
	} {
		os.RemoveAll(filepath.Dir(way))
		if err := os.MkdirAll(way, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := rootonly.Check(file); (err == nil) != (name == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	os.RemoveAll(filepath.Dir(way))
	os.MkdirAll(way, 0o755)
	os.WriteFile(file, nil, 0o755)
	if os.Chmod(way, 0o777|os.ModeSticky); rootonly.Check(file) != nil {
		t.Error("root's file in a directory with the sticky bit can be replaced by root alone")
	}
}
