package stage

import (
	"os"
	"path/filepath"
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
