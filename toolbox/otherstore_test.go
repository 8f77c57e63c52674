package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/internal/xdg"
)

// TestD94_OtherStore: a toolbox is looked for in every store that the user's settings
// name, and the one that podman uses does not count.
func TestD94_OtherStore(t *testing.T) {
	root := t.TempDir()
	table := func(store, driver, names string) string {
		path := filepath.Join(root, store, driver+"-containers/containers.json")
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(`[{"id":"x","names":[`+names+`]}]`), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := table("a", "overlay", `"web"`), table("a", "vfs", `"old"`)
	os.Symlink(filepath.Join(root, "a"), filepath.Join(root, "link"))
	roots := []string{root + "/none", root + "/link", root + "/a"}
	for _, c := range []struct{ here, name, want string }{
		{root + "/c/overlay-containers/containers.json", "web", filepath.Join(root, "link/overlay-containers/containers.json")}, // none there yet
		{a, "web", ""}, // where podman has looked already
		{b, "web", filepath.Join(root, "link/overlay-containers/containers.json")}, // another driver
		{a, "old", filepath.Join(root, "link/vfs-containers/containers.json")},
		{a, "we", ""},
	} {
		if got := otherTable(roots, c.here, c.name); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := storeOf(a); got != root+"/a (driver overlay)" {
		t.Error(got)
	}
}

func TestD94_StoreRoots(t *testing.T) {
	home := t.TempDir()
	os.MkdirAll(home+"/.config/containers", 0o700)
	os.WriteFile(home+"/.config/containers/storage.conf", []byte("[storage]\ngraphroot = \"$HOME/disk\"\n"), 0o600)
	os.WriteFile(home+"/other.conf", []byte("[storage]\nrootless_storage_path = \"/srv/$USER/$UID\"\n"), 0o600)
	env := []string{"CONTAINERS_STORAGE_CONF=" + home + "/other.conf"}
	h := &Host{Home: home, RealHome: home, User: "jane", UID: 1000, Env: env, Dirs: xdg.Dirs{Data: home + "/data/tbx", Config: home + "/.config/tbx"}}
	got := (&Manager{Host: h}).storeRoots()
	for _, want := range []string{home + "/.local/share/containers/storage", home + "/data/containers/storage", home + "/disk", "/srv/jane/1000"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
}
