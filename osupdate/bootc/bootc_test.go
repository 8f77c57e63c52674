package bootc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/bootc"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

const statusArgs = "status --format=json --format-version=1"

func data(t testing.TB, name string) string {
	return osupdatetest.Read(t, "testdata/"+name+".json")
}

func version(v string) osupdatetest.Call {
	return osupdatetest.Call{Args: "--version", Stdout: "bootc " + v + "\n", Maybe: true}
}

// config has only the fake programs: which others are beside bootc matters.
func config(t *testing.T, tool *osupdatetest.Tool, opt bootc.Options) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir())
	cfg.Tools.Dirs = []string{tool.Dir}
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return bootc.New(c.Tools, opt)
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

func suite(composefs bool) func(t *testing.T) *osupdatetest.Fixture {
	return func(t *testing.T) *osupdatetest.Fixture {
		status := func(state string) osupdatetest.Call {
			return osupdatetest.Call{In: state, Args: statusArgs, Stdout: data(t, state), Maybe: true}
		}
		maybe := func(c osupdatetest.Call) osupdatetest.Call { c.Maybe = true; return c }
		tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{
			"bootc": {
				version("1.15.2"), status("clean"), status("staged"), status("rebooted"), status("queued"),
				maybe(osupdatetest.Call{In: "clean", Args: "upgrade --check", Stdout: "Update available for: docker://quay.io/example/desktop:latest\n  Version: 43.2\n", To: "cached"}),
				{In: "cached", Args: statusArgs, Stdout: data(t, "cached"), To: "clean", Maybe: true},
				maybe(osupdatetest.Call{In: "clean", Args: "upgrade --progress-fd=3", Shell: `echo '{"type":"ProgressBytes","task":"pulling","bytes":5,"bytesTotal":10}' >&3`, To: "staged"}),
				maybe(osupdatetest.Call{In: "staged", Args: "upgrade --progress-fd=3", Stdout: "No update available.\n"}),
				{Args: "config-diff", Maybe: true}, {Args: "delete-deployment --help", Maybe: true}, {Args: "loader-entries --help", Maybe: true},
				maybe(osupdatetest.Call{In: "rebooted", Args: "rollback", To: "queued"}),
				maybe(osupdatetest.Call{In: "queued", Args: "rollback", To: "rebooted"}),
			},
			"ostree": {{Args: "admin config-diff", Maybe: true}}, "rpm-ostree": {},
		})
		registry := func(context.Context, string, string) (string, error) { // the image that the upgrade brings
			if tool.State(t) != "clean" {
				return "", nil
			}
			return "sha256:3333333333333333333333333333333333333333333333333333333333333333", nil
		}
		return &osupdatetest.Fixture{
			Config:   config(t, tool, bootc.Options{Root: true, Composefs: composefs, Registry: registry}),
			Snapshot: func() string { return strings.Replace(tool.State(t), "cached", "clean", 1) }, Reboot: func() { tool.SetState(t, "rebooted") },
			Reader: "bootc", Mutator: "bootc", Upgrades: "'upgrade --progress'*",
		}
	}
}

func TestSuite(t *testing.T)          { osupdatetest.Run(t, suite(false)) }
func TestSuiteComposefs(t *testing.T) { osupdatetest.Run(t, suite(true)) }

func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 12 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if name == "incompatible" {
			continue // TestIncompatible
		}
		t.Run(name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: osupdatetest.Read(t, file)}}})
			s, err := open(t, config(t, tool, bootc.Options{Root: true})).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			osupdatetest.Golden(t, strings.TrimSuffix(file, ".json")+".golden", s.State)
		})
	}
}

// TestPlans: the exact commands of every verb.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		state, version string
		beside         []string
		r              osupdate.Request
		want           []string // none: unchanged
	}{
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "upgrade"}, []string{"bootc upgrade --progress-fd={progress}"}},
		{"clean", "1.1.0", nil, osupdate.Request{Verb: "upgrade"}, []string{"bootc upgrade"}},
		{"clean", "1.12.0", nil, osupdate.Request{Verb: "upgrade", DownloadOnly: true}, []string{"bootc upgrade --download-only --progress-fd={progress}"}},
		{"downloaded", "1.12.0", nil, osupdate.Request{Verb: "upgrade"}, []string{"bootc upgrade --progress-fd={progress}", "bootc upgrade --from-downloaded"}},
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "rollback"}, []string{"bootc rollback"}},
		{"staged", "1.15.2", nil, osupdate.Request{Verb: "rollback"}, []string{"bootc rollback"}},
		{"queued", "1.15.2", nil, osupdate.Request{Verb: "rollback"}, nil},
		{"queued", "1.15.2", nil, osupdate.Request{Verb: "rollback", Target: "booted"}, []string{"bootc rollback"}},
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "switch", Target: "quay.io/example/other:1"}, []string{"bootc switch --enforce-container-sigpolicy quay.io/example/other:1"}},
		{"insecure", "1.15.2", nil, osupdate.Request{Verb: "switch", Target: "quay.io/example/other:1"}, []string{"bootc switch quay.io/example/other:1"}},
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "switch", Target: "localhost/mine:1"}, []string{"bootc switch --transport containers-storage localhost/mine:1"}},
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "switch", Target: "quay.io/example/desktop:latest"}, nil},
		{"clean", "1.15.2", []string{"ostree"}, osupdate.Request{Verb: "pin", Target: "1"}, []string{"ostree admin pin 1"}},
		{"pinned-others", "1.15.2", []string{"ostree"}, osupdate.Request{Verb: "unpin", Target: "2"}, []string{"ostree admin pin -u 2"}},
		{"pinned-others", "1.15.2", []string{"ostree"}, osupdate.Request{Verb: "pin", Target: "2"}, nil},
		{"clean", "1.15.2", []string{"rpm-ostree"}, osupdate.Request{Verb: "kargs", Append: []string{"quiet"}}, []string{"rpm-ostree kargs --unchanged-exit-77 --append-if-missing=quiet"}},
		{"staged", "1.15.2", []string{"rpm-ostree", "ostree"}, osupdate.Request{Verb: "cancel"}, []string{"rpm-ostree cleanup -p"}},
		{"staged", "1.15.2", []string{"ostree"}, osupdate.Request{Verb: "cancel"}, []string{"ostree admin undeploy 0"}},
		{"clean", "1.15.2", []string{"ostree"}, osupdate.Request{Verb: "cancel"}, nil},
		{"clean", "1.15.2", nil, osupdate.Request{Verb: "overlay"}, []string{"bootc usr-overlay"}},
	} {
		t.Run(c.state+"/"+string(c.r.Verb)+" "+c.r.Target, func(t *testing.T) {
			programs := map[string][]osupdatetest.Call{"bootc": {version(c.version), {Args: statusArgs, Stdout: data(t, c.state)}}}
			for _, b := range c.beside {
				programs[b] = nil
			}
			tool := osupdatetest.NewTool(t, "x", programs)
			p, err := osupdatetest.Plan(t.Context(), open(t, config(t, tool, bootc.Options{Root: true})), c.r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Steps {
				got = append(got, strings.TrimPrefix(strings.Join(s.Argv, " "), tool.Dir+"/"))
			}
			if !slices.Equal(got, c.want) || (p.Unchanged != "") != (len(c.want) == 0) {
				t.Errorf("steps %q, unchanged %q", got, p.Unchanged)
			}
			if len(c.want) > 0 && !p.NeedsRoot {
				t.Error("does not need root, although bootc does")
			}
		})
	}
}

// TestKargs: without rpm-ostree bootc keeps ours apart by their source, and replaces
// them all at once.
func TestKargs(t *testing.T) {
	const (
		help = "Usage: bootc loader-entries <COMMAND>\n\nCommands:\n  set-options-for-source  Set or update the kernel arguments owned by a specific source\n"
		set  = "loader-entries set-options-for-source --source tbx"
		old  = "title old\nversion 1\noptions root=UUID=1 a=1\nx-options-source-tbx a=1\n"
		next = "title new\nversion 2\noptions root=UUID=1 b=1 c=1 tuned=1\nx-options-source-tbx b=1 c=1\nx-options-source-tuned tuned=1\n"
	)
	for _, c := range []struct {
		name, help, staged string
		append, delete     []string
		want               string // empty: unchanged
		err                error
	}{
		{"added", help, "", []string{"quiet"}, nil, set + " --options b=1 c=1 quiet", nil},
		{"replaced", help, "", []string{"b=2"}, []string{"b=1"}, set + " --options c=1 b=2", nil},
		{"the last of ours taken away", help, "", nil, []string{"b=1", "c=1"}, set, nil},
		{"there already", help, "", []string{"c=1"}, nil, "", nil},
		{"what is not there", help, "", nil, []string{"none"}, "", nil},
		{"of the image", help, "", nil, []string{"rhgb"}, "", osupdate.ErrUnsupported},
		{"over what is staged", help, "x\x00x-options-source-tuned\x00tuned=1\x00\x00x-options-source-tbx\x00s=1\x00\x15", []string{"t=1"}, nil, set + " --options s=1 t=1", nil},
		{"taken away in what is staged", help, "x-options-source-tbx\x00\x00", []string{"t=1"}, nil, set + " --options t=1", nil},
		{"staged by another program", help, "commit\x00abc\x00", []string{"t=1"}, nil, set + " --options b=1 c=1 t=1", nil},
		{"an older bootc", "error: unrecognized subcommand 'loader-entries'\n", "", []string{"quiet"}, nil, "", osupdate.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			files := map[string]string{"proc/cmdline": "root=UUID=1 rhgb a=1", "boot/loader/entries/ostree-1.conf": old, "boot/loader/entries/ostree-2.conf": next}
			if c.staged != "" {
				files["run/ostree/staged-deployment"] = c.staged
			}
			for name, text := range files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "clean")}, {Args: "loader-entries --help", Stdout: c.help}}})
			p, err := osupdatetest.Plan(t.Context(), open(t, config(t, tool, bootc.Options{Root: true, System: root})), osupdate.Request{Verb: "kargs", Append: c.append, Delete: c.delete})
			if !errors.Is(err, c.err) || err != nil && len(fail.Hints(err)) == 0 {
				t.Fatalf("%v, hints %q", err, fail.Hints(err))
			}
			if err != nil {
				return
			}
			got := ""
			for _, s := range p.Steps {
				got = strings.Join(s.Argv[1:], " ")
			}
			if got != c.want || (p.Unchanged != "") != (c.want == "") {
				t.Errorf("%q, unchanged %q", got, p.Unchanged)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		state, version string
		r              osupdate.Request
		want           error
	}{
		{"clean", "1.11.0", osupdate.Request{Verb: "upgrade", DownloadOnly: true}, osupdate.ErrUnsupported},
		{"clean", "1.15.2", osupdate.Request{Verb: "upgrade", Target: "43.0"}, osupdate.ErrUnsupported},
		{"insecure", "1.15.2", osupdate.Request{Verb: "rollback"}, osupdate.ErrNoRollback},
		{"clean", "1.15.2", osupdate.Request{Verb: "rollback", Target: "7"}, osupdate.ErrNotFound},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {version(c.version), {Args: statusArgs, Stdout: data(t, c.state)}}})
		if _, err := osupdatetest.Plan(t.Context(), open(t, config(t, tool, bootc.Options{Root: true})), c.r); !errors.Is(err, c.want) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s %+v: %v", c.state, c.r, err)
		}
	}
}

// TestDroppedUpdateIsSaid: bootc would drop a staged update without a word.
func TestDroppedUpdateIsSaid(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "staged")}}})
	p, err := osupdatetest.Plan(t.Context(), open(t, config(t, tool, bootc.Options{Root: true})), osupdate.Request{Verb: "rollback"})
	if err != nil || !strings.Contains(strings.Join(p.Effects, " "), "drop the staged 43.2") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name, stderr string
		want         *osupdate.Problem
	}{
		{"not root", "ERROR Upgrading: This command must be executed as the root user\n", osupdate.ErrPermission},
		{"local modifications", "error: Upgrading: Deployment contains local rpm-ostree modifications; cannot upgrade via bootc\n", osupdate.ErrLocalMods},
		{"signature", "error: Upgrading: Pulling: A signature was required, but no signature exists\n", osupdate.ErrSignature},
		{"gone", "error: Upgrading: Creating importer: failed to invoke method OpenImage: reading manifest latest in quay.io/x/y: manifest unknown\n", osupdate.ErrNotFound},
		{"credentials", "error: Upgrading: failed to invoke method OpenImage: unauthorized: access to the requested resource is not authorized\n", osupdate.ErrPermission},
		{"network", "error: Upgrading: pinging container registry quay.io: Get \"https://quay.io/v2/\": dial tcp: lookup quay.io: no such host\n", osupdate.ErrNetwork},
		{"disk full", "error: Upgrading: Importing: No space left on device (os error 28)\n", osupdate.ErrSpace},
		{"other", "error: something new\n", osupdate.ErrBackend},
	} {
		t.Run(c.name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {
				version("1.15.2"), {Args: statusArgs, Stdout: data(t, "clean")}, {Args: "upgrade --progress-fd=3", Stderr: c.stderr, Code: 1},
			}})
			_, err := open(t, config(t, tool, bootc.Options{Root: true})).Do(t.Context(), osupdate.Request{Verb: "upgrade"}, false)
			if !errors.Is(err, c.want) || len(fail.Hints(err)) == 0 {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestYAML: without --format bootc prints YAML to a pipe; an answer that is not
// JSON is an error, not an empty host.
func TestYAML(t *testing.T) {
	for name, out := range map[string]string{"yaml": "apiVersion: org.containers.bootc/v1\nkind: BootcHost\n", "empty": "", "half": data(t, "clean")[:300], "null": "null", "other": `{"status":{"booted":{"image":null}}}`} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: out}}})
		if _, err := open(t, config(t, tool, bootc.Options{Root: true})).Status(t.Context()); !errors.Is(err, osupdate.ErrBadOutput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIncompatible: Host hands a layered host over to rpm-ostree by itself.
func TestIncompatible(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "incompatible")}}})
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/cmdline"), []byte("composefs="+strings.Repeat("a", 128)), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, tool, bootc.Options{Root: true})
	cfg.Sysroot, cfg.Root = "", root
	var asked []osupdate.Kind
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		asked = append(asked, d.Kind)
		if d.Kind == osupdate.RPMOSTree {
			return other{}, nil
		}
		return bootc.New(c.Tools, bootc.Options{Root: true})
	}
	st, err := open(t, cfg).Status(t.Context())
	if err != nil || st.State.Backend != osupdate.RPMOSTree || !slices.Equal(asked, []osupdate.Kind{osupdate.Bootc, osupdate.RPMOSTree}) {
		t.Errorf("%+v, %v, asked %v", st, err, asked)
	}
}

type other struct{ osupdate.Backend }

func (other) Capabilities() osupdate.Capabilities { return osupdate.Capabilities{} }
func (other) State(context.Context) (*osupdate.State, error) {
	return &osupdate.State{Backend: osupdate.RPMOSTree}, nil
}

func FuzzStatus(f *testing.F) {
	for _, name := range []string{"clean", "alpha", "composefs", "remote-signature", "pinned-others"} {
		f.Add([]byte(data(f, name)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := bootc.Parse(in); err == nil {
			osupdatetest.Use(t, s)
		}
		bootc.ReadProgress(string(in))
	})
}
