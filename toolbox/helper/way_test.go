package helper

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX33_WayToAShare: what stands on the way to where a share is mounted is found before
// a runtime follows it.
func TestX33_WayToAShare(t *testing.T) {
	home := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(home, "a/b/c"), 0o755))
	must(os.Symlink("a", filepath.Join(home, "link")))
	must(os.Symlink("/run/tbx/box", filepath.Join(home, "a/out")))
	must(os.WriteFile(filepath.Join(home, "a/file"), nil, 0o644))
	must(unix.Mkfifo(filepath.Join(home, "a/fifo"), 0o644))
	for rel, want := range map[string]string{
		"a/b/c": "", "a/b": "", "a/new/dir": "", "new": "",
		"link": "link a link", "link/b/c": "link a link", "a/out": "a/out a link", "a/out/x": "a/out a link",
		"a/file": "a/file no directory", "a/fifo/x": "a/fifo no directory",
	} {
		at, is, err := firstObstacle(home, rel)
		if err != nil {
			t.Errorf("%s: %v", rel, err)
		}
		got := strings.TrimSpace(at + " " + is)
		if got != want {
			t.Errorf("%s: %q, want %q", rel, got, want)
		}
	}
}

// TestX33_Strays: an empty directory of another user's is removed, and nothing of one's own.
func TestX33_Strays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	dir := t.TempDir()
	made := map[string]int{"0123/": 0, "0123/src/": 4321, "own/": 4321, "deep/": 4321, "deep/er/": 4321, "full/": 4321, "full/mine/": 0}
	for _, path := range slices.Sorted(maps.Keys(made)) {
		uid := made[path]
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, path), 0o755), os.Chown(filepath.Join(dir, path), uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Strays([]string{dir}); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{"0123": true, "0123/src": false, "own": false, "deep": false, "full": true, "full/mine": true} {
		if _, err := os.Lstat(filepath.Join(dir, path)); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}
