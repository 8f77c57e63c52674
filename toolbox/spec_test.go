package toolbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

func TestSpecRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := testSpec()
	want.Hostname, want.Home, want.Volumes, want.Without = "box", "/srv/it's a \"home\"\nof mine", []string{"/a:/b:ro"}, []string{integration.X11}
	want.Env = []string{"A=$HOME 'x' \"y\"\n\ttab\\", "B="}
	if err := saveSpec(dir, "web", want); err != nil {
		t.Fatal(err)
	}
	got, err := loadSpec(dir, "web")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got.Hash() != want.Hash() {
		t.Error("the hash changed on the way")
	}
	if names := specNames(dir); len(names) != 1 || names[0] != "web" {
		t.Errorf("names %q", names)
	}
	if err := errors.Join(removeSpec(dir, "web"), removeSpec(dir, "web")); err != nil {
		t.Error(err)
	}
	if _, err := loadSpec(dir, "web"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
}

func TestSpecThatCannotBeMeant(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		kind             error
	}{
		{"torn", "version = 1\nid = \"ab", "web.toml:2:8: ", nil},
		{"unknown key", "version = 1\nvolume = []\n", `no key "volume"`, nil},
		{"wrong type", "version = \"one\"\n", "web.toml", nil},
		{"newer", "version = 99\n", "newer tbx", fail.Unable},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := specFile(dir, "web")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := loadSpec(dir, "web")
			if err == nil || !strings.Contains(err.Error(), c.want) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%+v, %v; want %q", s, err, c.want)
			}
		})
	}
}
