package abroot_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/abroot"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

const update = `{"hasUpdate":true,"newDigest":"sha256:new","systemPackageDiff":{"upgraded":[{"name":"bash","previous_version":"1","new_version":"2"}]}}`

func config(t *testing.T, root string, tool *osupdatetest.Tool) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return abroot.New(c.Tools, root, "vos-a")
	}
	return cfg
}

func open(t *testing.T, cfg osupdate.Config) *osupdate.Host {
	t.Helper()
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSuite(t *testing.T) {
	clean, upgraded := osupdatetest.Read(t, "testdata/clean.json"), osupdatetest.Read(t, "testdata/upgraded.json")
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		tool := osupdatetest.NewTool(t, "a", map[string][]osupdatetest.Call{"abroot": {
			{In: "a", Args: "status -j", Stdout: clean, Maybe: true}, {In: "b", Args: "status -j", Stdout: upgraded, Maybe: true},
			{In: "a", Args: "upgrade -c", Stdout: update, Maybe: true}, {In: "b", Args: "upgrade -c", Stdout: `{"hasUpdate":false}`, Code: 1, Maybe: true},
			{In: "a", Args: "upgrade", To: "b", Maybe: true},
			{In: "b", Args: "rollback", To: "a", Maybe: true}, {In: "a", Args: "rollback", To: "b", Maybe: true},
		}})
		return &osupdatetest.Fixture{Config: config(t, t.TempDir(), tool), Snapshot: func() string { return tool.State(t) }, NoBack: true, Reader: "abroot", Mutator: "abroot", Upgrades: "upgrade"}
	})
}

func TestGoldens(t *testing.T) {
	for _, name := range []string{"clean", "upgraded"} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {{Args: "status -j", Stdout: osupdatetest.Read(t, "testdata/"+name+".json")}}})
		st, err := open(t, config(t, t.TempDir(), tool)).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		osupdatetest.Golden(t, "testdata/"+name+".golden", st.State)
	}
}

// TestErrorsThatEndWithZero: without root ABRoot prints an error and succeeds.
func TestErrorsThatEndWithZero(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {{Args: "status -j", Stderr: "ERROR You must be root to run this command\n"}}})
	if _, err := open(t, config(t, t.TempDir(), tool)).Status(t.Context()); !errors.Is(err, osupdate.ErrPermission) {
		t.Error(err)
	}
}

func TestCheckCodes(t *testing.T) {
	for _, c := range []struct {
		out, stderr string
		code        int
		found       bool
		err         error
	}{
		{update, "", 0, true, nil},
		{`{"hasUpdate":false}`, "", 1, false, nil},
		{"", "dial tcp: lookup ghcr.io: Temporary failure in name resolution\n", 1, false, osupdate.ErrNetwork},
		{"", "error\n", 1, false, osupdate.ErrBackend},
		{"no json", "", 0, false, osupdate.ErrBadOutput},
		{`{}`, "", 0, false, osupdate.ErrBadOutput},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {
			{Args: "status -j", Stdout: osupdatetest.Read(t, "testdata/clean.json")}, {Args: "upgrade -c", Stdout: c.out, Stderr: c.stderr, Code: c.code},
		}})
		u, err := open(t, config(t, t.TempDir(), tool)).Check(t.Context())
		if !errors.Is(err, c.err) || err == nil && (u.Update != nil) != c.found {
			t.Errorf("%+v: %+v, %v", c, u, err)
		}
	}
}

// TestLock: the id of a living process in ABRoot's lock is believed, that of a
// dead one is not.
func TestLock(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run/abroot"), 0o755); err != nil {
		t.Fatal(err)
	}
	for pid, busy := range map[int]bool{os.Getpid(): true, 1 << 22: false} {
		if err := os.WriteFile(filepath.Join(root, "run/abroot/operation.lock"), fmt.Appendf(nil, "%d", pid), 0o644); err != nil {
			t.Fatal(err)
		}
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {
			{Args: "status -j", Stdout: osupdatetest.Read(t, "testdata/clean.json")}, {Args: "rollback", Maybe: true},
		}})
		_, err := open(t, config(t, root, tool)).Do(t.Context(), osupdate.Request{Verb: osupdate.Rollback}, false)
		if errors.Is(err, osupdate.ErrBusy) != busy {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(osupdatetest.Read(f, "testdata/clean.json")))
	f.Add([]byte(osupdatetest.Read(f, "testdata/upgraded.json")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := abroot.Parse(in); err == nil {
			osupdatetest.Use(t, s)
		}
	})
}

// TestH10_ABRootFollowsImages of registries, and nothing else.
func TestH10_ABRootFollowsImages(t *testing.T) {
	for target, is := range map[string]bool{
		"ghcr.io/lab/other:1": true, "lab:debian/x": false, "a": false, "oci-archive:/x.tar": false, "ostree-image-signed:docker://ghcr.io/lab/other:1": false,
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {{Args: "status -j", Stdout: osupdatetest.Read(t, "testdata/clean.json")}}})
		_, err := osupdatetest.Plan(t.Context(), open(t, config(t, t.TempDir(), tool)), osupdate.Request{Verb: osupdate.Switch, Target: target})
		if (err == nil) != is || !is && (!errors.Is(err, fail.Usage) || len(fail.Hints(err)) == 0) {
			t.Errorf("%s: %v", target, err)
		}
	}
}
