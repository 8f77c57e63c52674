package privileged_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/privileged"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
)

// TestMain is root's side when it is called as that: with nothing but its
// arguments, as pkexec and sudo call it. Its host is a fake rpm-ostree in the
// directory named by a file beside the program, because no environment comes
// through.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], privileged.Prefix) {
		os.Exit(rootSide())
	}
	os.Exit(m.Run())
}

func rootSide() int {
	o, err := privileged.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	self, err := os.Executable()
	if err != nil {
		return 1
	}
	dir, err := os.ReadFile(filepath.Join(filepath.Dir(self), "tools"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "uid %d, TBX_EVIL %q\n", os.Geteuid(), os.Getenv("TBX_EVIL"))
	open := func(progress func(osupdate.Progress)) (*osupdate.Host, error) {
		cfg := osupdatetest.NewConfig("/", filepath.Join(string(dir), "root"), string(dir))
		cfg.Sysroot, cfg.Progress = "fake", progress
		cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
			return rpmostree.New(c.Tools, nil, nil)
		}
		return osupdate.Open(cfg)
	}
	if err := privileged.Serve(context.Background(), o, open, os.Stdout); err != nil {
		return 1
	}
	return 0
}

// bench has tbx (this test's program) and a way to become root in a directory
// of its own.
type bench struct {
	dir    string
	caller *privileged.Caller
	stderr *bytes.Buffer
}

func newBench(t *testing.T, dir string, tool *osupdatetest.Tool) *bench {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tbx"), self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tools"), []byte(tool.Dir), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, stderr: &bytes.Buffer{}}
	b.caller = &privileged.Caller{Self: filepath.Join(dir, "tbx"), Method: privileged.Auto, Dirs: []string{dir}, Stderr: b.stderr,
		Fixed: func(string) error { return nil }} // both are where tests are
	return b
}

func (b *bench) script(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, name string) string {
	return osupdatetest.Read(t, "../rpmostree/testdata/"+name+".json")
}

// fakeHost is a host on which pinning, which needs root, works once.
func fakeHost(t *testing.T) *osupdatetest.Tool {
	pinned := strings.Replace(state(t, "clean"), `"pinned": false`, `"pinned": true`, 1)
	return osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{
		"rpm-ostree": {{In: "clean", Args: "status --json", Stdout: state(t, "clean"), Maybe: true}, {In: "pinned", Args: "status --json", Stdout: pinned, Maybe: true}},
		"ostree":     {{In: "clean", Args: "admin pin 0", To: "pinned", Maybe: true}},
	})
}

// user is the ordinary user's tbx.
func user(t *testing.T, tool *osupdatetest.Tool, c *privileged.Caller) *osupdate.Host {
	t.Helper()
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot, cfg.Superuser, cfg.Elevate = "fake", false, c
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return rpmostree.New(c.Tools, nil, nil)
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestOneVerbAsRoot(t *testing.T) {
	tool := fakeHost(t)
	b := newBench(t, t.TempDir(), tool)
	b.script(t, "sudo", `[ "$1" = -- ] || exit 9; shift; exec env -i "$@"`)
	t.Setenv("TBX_EVIL", "1")
	h := user(t, tool, b.caller)
	res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Pin, Target: "0"}, false)
	if err != nil || res.After == nil || !res.After.Pinned {
		t.Fatalf("%+v, %v\n%s", res, err, b.stderr)
	}
	if res, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Pin, Target: "0"}, false); err != nil || res.Unchanged == "" {
		t.Errorf("pinned twice: %+v, %v", res, err)
	}
	if !strings.Contains(b.stderr.String(), `TBX_EVIL ""`) {
		t.Errorf("the environment came through: %s", b.stderr)
	}
}

// TestErrorsComeBack: kind, sentence, hints and raw text survive the way.
func TestErrorsComeBack(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{
		"rpm-ostree": {{Args: "status --json", Stdout: state(t, "clean")}},
		"ostree":     {{Args: "admin pin 0", Stderr: "error: Writing: No space left on device\n", Code: 1}},
	})
	b := newBench(t, t.TempDir(), tool)
	b.script(t, "pkexec", `exec env -i "$@"`)
	_, err := user(t, tool, b.caller).Do(t.Context(), osupdate.Request{Verb: osupdate.Pin, Target: "0"}, false)
	var te *osupdate.ToolError
	if !errors.Is(err, osupdate.ErrSpace) || len(fail.Hints(err)) == 0 || !errors.As(err, &te) || !strings.Contains(te.Stderr, "No space left") {
		t.Errorf("%v, hints %q", err, fail.Hints(err))
	}
}

func TestRefusedByTheWay(t *testing.T) {
	tool := fakeHost(t)
	b := newBench(t, t.TempDir(), tool)
	r := osupdate.Request{Verb: osupdate.Pin, Target: "0"}
	if _, err := user(t, tool, b.caller).Do(t.Context(), r, false); !errors.Is(err, osupdate.ErrPermission) {
		t.Errorf("no way at all: %v", err)
	}
	b.script(t, "pkexec", `echo "Error executing command as another user: Not authorized" >&2; exit 127`)
	_, err := user(t, tool, b.caller).Do(t.Context(), r, false)
	if !errors.Is(err, osupdate.ErrPermission) || !strings.Contains(err.Error(), "Not authorized") || tool.State(t) != "clean" {
		t.Errorf("refused: %v", err)
	}
	b.script(t, "pkexec", `echo rubbish`)
	if _, err = user(t, tool, b.caller).Do(t.Context(), r, false); !errors.Is(err, osupdate.ErrBadOutput) {
		t.Errorf("rubbish: %v", err)
	}
	b.caller.Method = privileged.Never
	if _, err = b.caller.Argv(osupdate.Order{Request: r}); !errors.Is(err, osupdate.ErrPermission) {
		t.Errorf("switched off: %v", err)
	}
}

// TestParseRefuses: whatever is not one valid order for the verb of the call.
func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{
		nil, {"__host-pin"}, {"pin", `{"request":{"verb":"pin","target":"0"}}`},
		{"__host-pin", `{"request":{"verb":"pin","target":"0"}}`, "more"},
		{"__host-upgrade", `{"request":{"verb":"switch","target":"evil.example/x"}}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade","allow_downgrade":true}}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade","target":"1.0"}}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade"},"argv":["sh"]}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade","sysroot":"/tmp/evil"}}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade"}}{"request":{"verb":"upgrade"}}`},
		{"__host-upgrade", `null`}, {"__host-upgrade", ``},
		{"__host-install", `{"request":{"verb":"install","packages":["/tmp/evil.rpm"]}}`},
		{"__host-install", `{"request":{"verb":"install","packages":["vim","/tmp/evil.rpm"]}}`},
		{"__host-upgrade", `{"request":{"verb":"upgrade","from":"/tmp/evil"}}`},
		{"__host-install", `{"request":{"verb":"install","packages":["https://evil.example/x.rpm"]}}`},
		{"__host-install", `{"request":{"verb":"install","packages":["--repo=evil"]}}`},
		{"__host-shell", `{"request":{"verb":"shell"}}`},
	} {
		if _, err := privileged.Parse(args); !errors.Is(err, fail.Usage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if o, err := privileged.Parse([]string{"__host-upgrade-to", `{"request":{"verb":"upgrade","target":"43.1"}}`}); err != nil || o.Request.Target != "43.1" {
		t.Errorf("%+v, %v", o, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("__host-pin", `{"request":{"verb":"pin","target":"0"}}`)
	f.Add("__host-kargs", `{"request":{"verb":"kargs","append":["quiet"]},"dry_run":true}`)
	f.Fuzz(func(t *testing.T, verb, order string) {
		o, err := privileged.Parse([]string{verb, order})
		if err != nil {
			return
		}
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		words := slices.Concat([]string{o.Request.Target, o.Request.From}, o.Request.Packages, o.Request.Append, o.Request.Delete, o.Request.Parts)
		for _, w := range words {
			if strings.HasPrefix(w, "-") || strings.HasPrefix(w, "/") || strings.ContainsAny(w, " \n\t\x00\x1b") {
				t.Errorf("the word %q came through: %s", w, data)
			}
		}
		if again, err := privileged.Parse([]string{verb, string(data)}); err != nil || again.Request.Verb != o.Request.Verb {
			t.Errorf("written and read again: %v", err)
		}
	})
}

// TestPolicy: each verb that root carries out has its action, chosen by the
// first argument, with the defaults that are promised.
func TestPolicy(t *testing.T) {
	var doc struct {
		Actions []struct {
			ID       string `xml:"id,attr"`
			Any      string `xml:"defaults>allow_any"`
			Inactive string `xml:"defaults>allow_inactive"`
			Active   string `xml:"defaults>allow_active"`
			Notes    []struct {
				Key   string `xml:"key,attr"`
				Value string `xml:",chardata"`
			} `xml:"annotate"`
		} `xml:"action"`
	}
	if err := xml.Unmarshal([]byte(osupdatetest.Read(t, "../../packaging/polkit/dev.tbx.host.policy")), &doc); err != nil {
		t.Fatal(err)
	}
	free := map[string][3]string{"status": {"yes", "yes", "yes"}, "check": {"yes", "yes", "yes"}, "upgrade": {"auth_admin", "auth_admin", "yes"}}
	want := []string{"status", "check", "upgrade-to"}
	for _, v := range osupdate.Verbs() {
		want = append(want, string(v))
	}
	var got []string
	for _, a := range doc.Actions {
		verb := strings.TrimPrefix(a.ID, "dev.tbx.host.")
		got = append(got, verb)
		defaults, ok := free[verb]
		if !ok {
			defaults = [3]string{"auth_admin", "auth_admin", "auth_admin_keep"}
		}
		if defaults != [3]string{a.Any, a.Inactive, a.Active} {
			t.Errorf("%s: %q %q %q", verb, a.Any, a.Inactive, a.Active)
		}
		if len(a.Notes) != 2 || a.Notes[0].Value != "/usr/bin/tbx" || a.Notes[1].Value != privileged.Prefix+verb {
			t.Errorf("%s: %+v", verb, a.Notes)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("actions %q\nwant %q", got, want)
	}
}

// A tbx that others than root can change, by any step of the way to it, is never
// started as root, by any of the ways, whatever is asked for; and what to do is said.
func TestS12_TbxOfAUserIsNotStartedAsRoot(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, dir, fakeHost(t))
	b.caller.Fixed = nil // as the real one
	started := filepath.Join(dir, "started")
	for _, m := range []string{"pkexec", "run0", "sudo"} {
		b.script(t, m, "echo \"$0 $*\" >> "+started+"\n")
	}
	asRoot := os.Getuid() == 0
	home := filepath.Join(dir, "home")
	own := filepath.Join(home, ".local", "bin")
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	tbx := filepath.Join(own, "tbx")
	if err := os.WriteFile(tbx, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(tbx, link); err != nil {
		t.Fatal(err)
	}
	if asRoot { // else all is the user's anyway
		if err := os.Chown(home, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	for _, self := range []string{tbx, link, "/proc/self/cwd/tbx", "tbx", ""} {
		for _, method := range []privileged.Method{privileged.Auto, privileged.Pkexec, privileged.Run0, privileged.Sudo} {
			for _, r := range []osupdate.Request{{Verb: osupdate.StatusVerb}, {Verb: osupdate.Upgrade}, {Verb: osupdate.Pin, Target: "0"}} {
				b.caller.Self, b.caller.Method = self, method
				_, err := b.caller.Run(t.Context(), osupdate.Order{Request: r}, nil)
				if !errors.Is(err, osupdate.ErrPermission) || !strings.Contains(err.Error(), "not only root can change it") {
					t.Errorf("%s of %q by %s: %v", r.Verb, self, method, err)
				}
				if asRoot && !strings.Contains(strings.Join(fail.Hints(err), " "), "sudo tbx host "+string(r.Verb)) {
					t.Errorf("%s of %q by %s: hints %q", r.Verb, self, method, fail.Hints(err))
				}
			}
		}
	}
	if said, err := os.ReadFile(started); err == nil {
		t.Errorf("started: %s", said)
	}
	if !asRoot {
		return
	}
	// The counterpart: root's own is.
	b.caller.Self = filepath.Join(dir, "tbx")
	b.caller.Run(t.Context(), osupdate.Order{Request: osupdate.Request{Verb: osupdate.StatusVerb}}, nil)
	if said, err := os.ReadFile(started); err != nil || !strings.Contains(string(said), b.caller.Self) {
		t.Errorf("root's own tbx was not started: %s %v", said, err)
	}
}

// TestH40_NobodyToAsk: over ssh without a terminal pkexec has no agent; sudo may need
// none. A password that was wrong or a dialogue that was closed ends it.
func TestH40_NobodyToAsk(t *testing.T) {
	r := osupdate.Request{Verb: osupdate.Pin, Target: "0"}
	for code, works := range map[string]bool{"127": true, "126": false} {
		tool := fakeHost(t)
		b := newBench(t, t.TempDir(), tool)
		b.script(t, "pkexec", `echo "Error executing command as another user: No authentication agent found." >&2; exit `+code)
		b.script(t, "sudo", `[ "$1 $2" = "-n --" ] || exit 9; shift 2; exec env -i "$@"`)
		res, err := user(t, tool, b.caller).Do(t.Context(), r, false)
		if works != (err == nil && res.After.Pinned) || !works && !errors.Is(err, osupdate.ErrPermission) {
			t.Errorf("pkexec ends with %s: %+v, %v", code, res, err)
		}
	}
}
