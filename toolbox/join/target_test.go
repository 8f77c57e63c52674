package join

import (
	"os"
	"path/filepath"
	"testing"
)

// A cgroup that is being frozen holds what joins it, before it says that it is.
func TestFrozen(t *testing.T) {
	const cgroup = "/user.slice/libpod-1.scope/container"
	for _, c := range []struct {
		name string
		// cgroup.freeze of the container's cgroup and of the scope above it; frozen of cgroup.events
		own, above, events string
		want               bool
	}{
		{"running", "0", "0", "0", false},
		{"paused", "1", "0", "1", true},
		{"being paused", "1", "0", "0", true},
		{"frozen above", "0", "1", "1", true},
		{"being frozen above", "0", "1", "0", true},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, cgroup)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{
			dir + "/cgroup.freeze":               c.own + "\n",
			filepath.Dir(dir) + "/cgroup.freeze": c.above + "\n",
			dir + "/cgroup.events":               "populated 1\nfrozen " + c.events + "\n",
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := frozen(root, cgroup); got != c.want {
			t.Errorf("%s: frozen is %t", c.name, got)
		}
	}
}
