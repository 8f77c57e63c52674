//go:build system

package system_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestX33_NothingMadeOnTheHost: a link in the home leads the runtime to a directory of the host that is mounted before the
// share is, where it would make the directories that the share is to be mounted on.
func TestX33_NothingMadeOnTheHost(t *testing.T) {
	t.Parallel()
	box := filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box")
	strays := func() []string {
		var out []string
		filepath.WalkDir(box, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if fi, err := d.Info(); err == nil && int(fi.Sys().(*syscall.Stat_t).Uid) != os.Getuid() && strings.Contains(path, "x33-") {
				out = append(out, path)
			}
			return nil
		})
		return out
	}
	for _, way := range []struct{ name, script, at string }{
		{"x33-one", "cd %s && mv x33-src was && ln -s /run/tbx/box x33-src", "/x33-src"},
		{"x33-deep", "cd %s && mv x33-deep was && ln -s /run/tbx/box x33-deep", "/x33-deep"},
	} {
		t.Run(way.name, func(t *testing.T) {
			home, err := filepath.EvalSymlinks(os.Getenv("HOME"))
			must(t, err)
			dir := filepath.Join(home, prefix+way.name)
			share := filepath.Join(dir, "x33-deep/x33-src/x33-p")
			parent := filepath.Dir(filepath.Dir(share)) // of x33-src
			if way.at == "/x33-deep" {
				parent = dir
			}
			must(t, os.MkdirAll(share, 0o755))
			c := &cell{t, prefix + way.name, dir}
			tbx(t, "create", "--quiet", "--isolated", "--image", image("busybox"), "--share", share, c.name)
			t.Cleanup(func() {
				try("tbx", "rm", "--force", c.name)
				os.RemoveAll(dir)
			})
			c.inside(false, strings.ReplaceAll(way.script, "%s", parent))
			made := false
			for _, start := range []string{"tbx", "podman"} {
				try("podman", "stop", "--time", "0", c.name)
				if start == "podman" {
					try("podman", "start", c.name) // which fails, or the toolbox ends
					made = len(strays()) > 0
				}
				c.refused(`on the way to .*/x33-p, .*` + way.at + ` is a link|ends at once|not as it was made`)
				if found := strays(); len(found) > 0 {
					t.Errorf("%s start: the runtime has made on the host: %q", start, found)
				}
			}
			if !made {
				t.Log("this runtime makes nothing there, so the second start shows nothing")
			}
			if entries, _ := os.ReadDir(box); slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "x33-") }) {
				t.Error(entries)
			}
		})
	}
}
