package observe_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/observe"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

func open(t *testing.T, kind osupdate.Kind, root string, dirs ...string) *osupdate.Host {
	t.Helper()
	cfg := osupdatetest.NewConfig("/", t.TempDir(), dirs...)
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return observe.New(kind, c.Tools, root, nil)
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestEveryVerbNamesItsCommand: nothing is done, and nobody is left without the
// next step.
func TestEveryVerbNamesItsCommand(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.RAUC, osupdate.SteamOS, osupdate.EOS, osupdate.Snapd, osupdate.NixOS} {
		b, err := observe.New(kind, &osupdate.Tools{}, t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range osupdate.Verbs() {
			_, err := b.Plan(t.Context(), &osupdate.State{}, osupdate.Request{Verb: v})
			if !osupdate.Own(v) && (!errors.Is(err, osupdate.ErrUnsupported) || len(fail.Hints(err)) == 0) {
				t.Errorf("%s %s: %v", kind, v, err)
			}
		}
	}
	if _, err := observe.New(osupdate.Bootc, nil, "", nil); !errors.Is(err, osupdate.ErrUnsupported) {
		t.Error(err)
	}
}

func TestRAUC(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rauc": {{Args: "status --detailed --output-format=json", Stdout: osupdatetest.Read(t, "testdata/rauc.json")}}})
	st, err := open(t, osupdate.RAUC, "/", tool.Dir).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	osupdatetest.Golden(t, "testdata/rauc.golden", st.State)
}

func TestNixOS(t *testing.T) {
	root := t.TempDir()
	link := func(target, name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for n, store := range map[string]string{"9": "/nix/store/i-nixos", "10": "/nix/store/j-nixos", "11": "/nix/store/k-nixos"} {
		link(store, "nix/var/nix/profiles/system-"+n+"-link")
	}
	link("system-11-link", "nix/var/nix/profiles/system")
	link("/nix/store/j-nixos", "run/booted-system")
	st, err := open(t, osupdate.NixOS, root).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	osupdatetest.Golden(t, "testdata/nixos.golden", st.State)
}

func FuzzState(f *testing.F) {
	f.Add([]byte(osupdatetest.Read(f, "testdata/rauc.json")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := observe.ParseSlots(in); err == nil {
			osupdatetest.Use(t, s)
		}
	})
}
