package transactional_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/transactional"
)

const (
	list    = "-q -f number,default,active,date,description snapshots"
	updates = "--non-interactive --xmlout list-updates"
)

func config(t *testing.T, tool *osupdatetest.Tool) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	root := t.TempDir()
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return transactional.New(c.Tools, root)
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
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		var tukit []osupdatetest.Call
		for _, state := range []string{"clean", "updated", "rebooted", "rolledback"} {
			tukit = append(tukit, osupdatetest.Call{In: state, Args: list, Stdout: osupdatetest.Read(t, "testdata/"+state+".txt"), Maybe: true})
		}
		tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{
			"tukit":  tukit,
			"zypper": {{Args: updates, Maybe: true, Stdout: `<?xml version='1.0'?><stream><update-status version="0.6"><update-list><update kind="package" name="bash" edition="5.3" edition-old="5.2"/></update-list></update-status></stream>`}},
			"transactional-update": {
				{In: "clean", Args: "--non-interactive dup", To: "updated", Maybe: true},
				{In: "updated", Args: "--non-interactive --continue dup", Stdout: "Nothing to do.\n", Maybe: true},
				{In: "rebooted", Args: "rollback 42", To: "rolledback", Maybe: true},
			},
		})
		return &osupdatetest.Fixture{Config: config(t, tool), Snapshot: func() string { return tool.State(t) }, Reboot: func() { tool.SetState(t, "rebooted") }, Reader: "tukit", Prose: true, Mutator: "transactional-update", Upgrades: "*dup"}
	})
}

func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"tukit": {{Args: list, Stdout: osupdatetest.Read(t, file)}}, "transactional-update": nil})
		st, err := open(t, config(t, tool)).Status(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		osupdatetest.Golden(t, strings.TrimSuffix(file, ".txt")+".golden", st.State)
	}
}

// TestNothingIsDiscarded: whatever waits for the next boot is continued.
func TestNothingIsDiscarded(t *testing.T) {
	for state, want := range map[string][]string{
		"clean":   {"--non-interactive", "pkg", "install", "htop"},
		"updated": {"--non-interactive", "--continue", "pkg", "install", "htop"},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"tukit": {{Args: list, Stdout: osupdatetest.Read(t, "testdata/"+state+".txt")}}, "transactional-update": nil})
		p, err := osupdatetest.Plan(t.Context(), open(t, config(t, tool)), osupdate.Request{Verb: osupdate.Install, Packages: []string{"htop"}})
		if err != nil || !slices.Equal(p.Steps[0].Argv[1:], want) {
			t.Errorf("%s: %+v, %v", state, p, err)
		}
	}
}

func TestBadAnswers(t *testing.T) {
	for _, out := range []string{"", "garbage\n", "1\n", "1\tno\tno\t\t\n", "x\tyes\tyes\n"} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"tukit": {{Args: list, Stdout: out}}, "transactional-update": nil})
		if _, err := open(t, config(t, tool)).Status(t.Context()); !errors.Is(err, osupdate.ErrBadOutput) {
			t.Errorf("%q: %v", out, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(osupdatetest.Read(f, "testdata/clean.txt")))
	f.Add([]byte(osupdatetest.Read(f, "testdata/rolledback.txt")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := transactional.Parse(in); err == nil {
			osupdatetest.Use(t, s)
		}
	})
}
