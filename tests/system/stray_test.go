//go:build system

package system_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestX33_NothingMadeOnTheHost: a link in the home leads the runtime to a directory of the host that is mounted before the
// share is, where it would make the directory that the share is to be mounted on.
func TestX33_NothingMadeOnTheHost(t *testing.T) {
	t.Parallel()
	box := filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box")
	stray := func() bool {
		_, err := os.Lstat(filepath.Join(box, "p"))
		return err == nil
	}
	c := newCell(t, "x33", image("busybox"))
	c.inside(false, "cd "+c.dir+" && mv src was && ln -s /run/tbx/box src")
	for _, start := range []string{"tbx", "podman"} {
		try("podman", "stop", "--time", "0", c.name)
		made := false
		if start == "podman" {
			try("podman", "start", c.name) // which fails, or the toolbox ends
			made = stray()
		}
		c.refused(`on the way to .*/src/p, .*/src is a link`)
		if stray() {
			t.Errorf("%s start: the runtime has made %s/p on the host", start, box)
		}
		if start == "podman" && !made {
			t.Log("this runtime makes nothing there, so this shows nothing")
		}
	}
	ro, err := os.ReadDir(c.dir + "/ro")
	if err != nil || len(ro) != 0 {
		t.Errorf("what is shared to read: %v, %v", ro, err)
	}
}
