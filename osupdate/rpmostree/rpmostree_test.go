package rpmostree_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/registry"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
)

const ref = "fedora:fedora/43/x86_64/silverblue"

var newest = strings.Repeat("c", 64)

func data(t testing.TB, name string) string {
	return osupdatetest.Read(t, "testdata/"+name+".json")
}

// open makes a Host over a fake rpm-ostree.
func open(t *testing.T, tool *osupdatetest.Tool, client *http.Client) *osupdate.Host {
	t.Helper()
	h, err := osupdate.Open(config(t, tool, client))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func config(t *testing.T, tool *osupdatetest.Tool, client *http.Client) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		newer := func(ctx context.Context, reference, digest string) (string, error) {
			return registry.Newer(ctx, client, reference, digest)
		}
		return rpmostree.New(c.Tools, newer, func(_ context.Context, asked string) (*osupdate.Update, error) {
			if asked != ref {
				t.Errorf("asked the remote for %q", asked)
			}
			return &osupdate.Update{Checksum: newest, Source: "the OSTree remote"}, nil
		})
	}
	return cfg
}

func TestSuite(t *testing.T) {
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		status := func(state string) osupdatetest.Call {
			return osupdatetest.Call{In: state, Args: "status --json", Stdout: data(t, state), Maybe: true}
		}
		tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"rpm-ostree": {
			status("clean"), status("staged"), status("rebooted"), status("rolledback"),
			{In: "clean", Args: "upgrade --unchanged-exit-77", Stdout: "Receiving objects: 40%\nStaging deployment...done\n", To: "staged", Maybe: true},
			{In: "staged", Args: "upgrade --unchanged-exit-77", Stdout: "No upgrade available.\n", Code: 77, Maybe: true},
			{Args: "db diff --format=diff " + strings.Repeat("a", 64) + " " + strings.Repeat("b", 64), Maybe: true},
			{In: "rebooted", Args: "rollback", Stdout: "Moving 'b.0' to be first deployment\n", To: "rolledback", Maybe: true},
		}})
		return &osupdatetest.Fixture{
			Config: config(t, tool, nil), Snapshot: func() string { return tool.State(t) }, Reboot: func() { tool.SetState(t, "rebooted") },
			Reader: "rpm-ostree", Mutator: "rpm-ostree", Upgrades: "upgrade*",
		}
	})
}

func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {
				{Args: "status --json", Stdout: osupdatetest.Read(t, file)}, {Args: "status", Code: 1, Maybe: true},
			}})
			s, err := open(t, tool, nil).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			osupdatetest.Golden(t, strings.TrimSuffix(file, ".json")+".golden", s.State)
		})
	}
}

// TestPlans: the exact arguments of every verb, and what is no change.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		state string
		r     osupdate.Request
		want  []string // each step's arguments; none: unchanged
	}{
		{"clean", osupdate.Request{Verb: "upgrade"}, []string{"upgrade --unchanged-exit-77"}},
		{"clean", osupdate.Request{Verb: "upgrade", AllowDowngrade: true}, []string{"upgrade --unchanged-exit-77 --allow-downgrade"}},
		{"clean", osupdate.Request{Verb: "upgrade", DownloadOnly: true}, []string{"upgrade --unchanged-exit-77 --download-only"}},
		{"clean", osupdate.Request{Verb: "upgrade", Target: "43.2"}, []string{"deploy 43.2 --disallow-downgrade"}},
		{"clean", osupdate.Request{Verb: "upgrade", Target: newest, AllowDowngrade: true}, []string{"deploy revision=" + newest}},
		{"clean", osupdate.Request{Verb: "upgrade", Target: "43.1"}, nil},
		{"clean", osupdate.Request{Verb: "rollback"}, []string{"rollback"}},
		{"clean", osupdate.Request{Verb: "rollback", Target: "0"}, nil},
		{"staged", osupdate.Request{Verb: "rollback"}, []string{"cleanup -p", "rollback"}},
		{"staged", osupdate.Request{Verb: "rollback", Target: "booted"}, []string{"cleanup -p"}},
		{"rolledback", osupdate.Request{Verb: "rollback"}, nil},
		{"clean", osupdate.Request{Verb: "switch", Target: "fedora:fedora/44/x86_64/silverblue"}, []string{"rebase fedora:fedora/44/x86_64/silverblue"}},
		{"clean", osupdate.Request{Verb: "switch", Target: ref}, nil},
		{"image", osupdate.Request{Verb: "switch", Target: "quay.io/fedora/fedora-silverblue:44"}, []string{"rebase ostree-image-signed:docker://quay.io/fedora/fedora-silverblue:44"}},
		{"image", osupdate.Request{Verb: "switch", Target: "ostree-unverified-registry:quay.io/x/y:1"}, []string{"rebase ostree-unverified-registry:quay.io/x/y:1"}},
		{"clean", osupdate.Request{Verb: "install", Packages: []string{"zsh", "vim"}}, []string{"install --assumeyes --idempotent --allow-inactive zsh vim"}},
		{"layered", osupdate.Request{Verb: "install", Packages: []string{"zsh", "htop"}}, []string{"install --assumeyes --idempotent --allow-inactive htop"}},
		{"layered", osupdate.Request{Verb: "install", Packages: []string{"zsh", "bash"}}, nil},
		{"layered", osupdate.Request{Verb: "uninstall", Packages: []string{"zsh"}}, []string{"uninstall --assumeyes zsh"}},
		{"clean", osupdate.Request{Verb: "uninstall", Packages: []string{"zsh"}}, nil},
		{"clean", osupdate.Request{Verb: "override-replace", From: "updates", Packages: []string{"kernel"}}, []string{"override replace --experimental --from repo=updates kernel"}},
		{"clean", osupdate.Request{Verb: "override-remove", Packages: []string{"firefox"}}, []string{"override remove firefox"}},
		{"layered", osupdate.Request{Verb: "override-remove", Packages: []string{"firefox"}}, nil},
		{"layered", osupdate.Request{Verb: "override-reset"}, []string{"override reset --all"}},
		{"layered", osupdate.Request{Verb: "override-reset", Packages: []string{"firefox"}}, []string{"override reset firefox"}},
		{"clean", osupdate.Request{Verb: "override-reset"}, nil},
		{"clean", osupdate.Request{Verb: "kargs", Append: []string{"quiet"}, Delete: []string{"rhgb"}}, []string{"kargs --unchanged-exit-77 --append-if-missing=quiet --delete-if-present=rhgb"}},
		{"clean", osupdate.Request{Verb: "initramfs", Target: "enable", Dracut: []string{"--add=tpm2-tss", "--no-hostonly"}}, []string{"initramfs --enable --arg=--add=tpm2-tss --arg=--no-hostonly"}},
		{"clean", osupdate.Request{Verb: "initramfs", Target: "enable"}, []string{"initramfs --enable"}},
		{"layered", osupdate.Request{Verb: "initramfs", Target: "disable"}, []string{"initramfs --disable"}},
		{"clean", osupdate.Request{Verb: "initramfs", Target: "disable"}, nil},
		{"staged", osupdate.Request{Verb: "apply-live"}, []string{"apply-live"}},
		{"clean", osupdate.Request{Verb: "apply-live"}, nil},
		{"clean", osupdate.Request{Verb: "overlay"}, []string{"usroverlay"}},
		{"busy", osupdate.Request{Verb: "cancel"}, []string{"cancel"}},
		{"staged", osupdate.Request{Verb: "cancel"}, []string{"cleanup -p"}},
		{"clean", osupdate.Request{Verb: "cancel"}, nil},
		{"clean", osupdate.Request{Verb: "cleanup"}, []string{"cleanup -b -m"}},
		{"clean", osupdate.Request{Verb: "cleanup", Parts: []string{"pending", "rollback"}}, []string{"cleanup -p -r"}},
	} {
		name := c.state + "/" + string(c.r.Verb) + " " + c.r.Target + strings.Join(c.r.Packages, ",")
		t.Run(name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, c.state, map[string][]osupdatetest.Call{"rpm-ostree": {
				{Args: "status --json", Stdout: data(t, c.state)}, {In: "busy", Args: "status", Code: 1, Maybe: true},
			}})
			p, err := osupdatetest.Plan(t.Context(), open(t, tool, nil), c.r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Steps {
				if s.Argv[0] != filepath.Join(tool.Dir, "rpm-ostree") {
					t.Errorf("runs %s", s.Argv[0])
				}
				got = append(got, strings.Join(s.Argv[1:], " "))
			}
			if !slices.Equal(got, c.want) || (p.Unchanged != "") != (len(c.want) == 0) {
				t.Errorf("steps %q, unchanged %q", got, p.Unchanged)
			}
			if p.NeedsRoot && c.r.Verb != "overlay" {
				t.Error("needs root, although the daemon asks polkit")
			}
		})
	}
}

// TestFailures replays what the program prints when it fails.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name, stdout, stderr string
		code                 int
		want                 *osupdate.Problem
	}{
		{"busy", "", "error: GDBus.Error:org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code26: Transaction in progress: upgrade\n You can cancel the current transaction with `rpm-ostree cancel`\n", 1, osupdate.ErrBusy},
		{"busy by another", "", "error: System transaction in progress\n", 1, osupdate.ErrBusy},
		{"rebooting", "", "error: Reboot initiated, cannot start new transaction\n", 1, osupdate.ErrBusy},
		{"driven", "", "error: Updates and deployments are driven by Zincati (zincati.service)\nSee zincati's documentation at https://example.org\nUse --bypass-driver to bypass Zincati and perform the operation anyways\n", 1, osupdate.ErrManaged},
		{"depsolve", "", "error: Could not depsolve transaction; 1 problem detected:\n Problem: package x-1 requires y\n", 1, osupdate.ErrConflict},
		{"replacements", "", "error: Forbidden base package replacements: systemd\n", 1, osupdate.ErrConflict},
		{"no package", "", "error: Packages not found: nosuch\n", 1, osupdate.ErrNotFound},
		{"downgrade", "", "error: Upgrade target revision 'c' with timestamp 'x' is chronologically older than current revision 'b'\n", 1, osupdate.ErrDowngrade},
		{"not authorised", "", "error: GDBus.Error:org.freedesktop.DBus.Error.AccessDenied: rpmostreed OS operation upgrade not allowed for user: not authorized\n", 1, osupdate.ErrPermission},
		{"signature", "", "error: Commit c: GPG verification enabled, but no signatures found (use gpg-verify=false in remote config to disable)\n", 1, osupdate.ErrSignature},
		{"image signature", "", "error: remote error: A signature was required, but no signature exists\n", 1, osupdate.ErrSignature},
		{"network", "", "error: While pulling fedora/43: While fetching https://x/config: [6] Couldn't resolve host name\n", 1, osupdate.ErrNetwork},
		{"disk full", "", "error: Writing content: fallocate: No space left on device\n", 1, osupdate.ErrSpace},
		{"boot full", "", "error: Installing kernel: bootfs requires additional space\n", 1, osupdate.ErrSpace},
		{"corrupt text", "", "error: something that no version printed before\n", 1, osupdate.ErrBackend},
		{"silent", "", "", 1, osupdate.ErrBackend},
		{"killed", "", "", 137, osupdate.ErrBackend},
	} {
		t.Run(c.name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"rpm-ostree": {
				{Args: "status --json", Stdout: data(t, "clean")},
				{Args: "upgrade --unchanged-exit-77", Stdout: c.stdout, Stderr: c.stderr, Code: c.code},
			}})
			h := open(t, tool, nil)
			_, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
			if !errors.Is(err, c.want) || len(fail.Hints(err)) == 0 {
				t.Fatalf("%v, hints %q", err, fail.Hints(err))
			}
			var te *osupdate.ToolError
			if !errors.As(err, &te) || te.Stderr != c.stderr || te.Code != c.code {
				t.Errorf("the raw text is lost: %+v", te)
			}
			entries, err := h.History()
			if err != nil || len(entries) != 2 || entries[1].Outcome != "failed" || entries[1].Problem != c.want.Name {
				t.Errorf("history: %+v, %v", entries, err)
			}
		})
	}
}

func TestBusyAndDrivenAreSeenBefore(t *testing.T) {
	for state, want := range map[string]error{"busy": osupdate.ErrBusy, "driven": osupdate.ErrManaged} {
		tool := osupdatetest.NewTool(t, state, map[string][]osupdatetest.Call{"rpm-ostree": {
			{Args: "status --json", Stdout: data(t, state)}, {In: "busy", Args: "status", Code: 1, Maybe: true},
		}})
		if _, err := open(t, tool, nil).Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); !errors.Is(err, want) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// TestBadAnswers: a program that is broken is an error, never a state.
func TestBadAnswers(t *testing.T) {
	whole := data(t, "staged")
	for name, out := range map[string]string{
		"nothing": "", "text": "State: idle\n", "truncated": whole[:len(whole)/2], "wrong types": `{"deployments":{}}`, "no id": `{"deployments":[{"booted":true}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: out}}})
			if _, err := open(t, tool, nil).Status(t.Context()); !errors.Is(err, osupdate.ErrBadOutput) {
				t.Error(err)
			}
		})
	}
}

// TestLiesAreSeen: a program that ends with 0 and did something else.
func TestLiesAreSeen(t *testing.T) {
	for _, c := range []struct {
		r     osupdate.Request
		args  string
		after string
	}{
		{osupdate.Request{Verb: "install", Packages: []string{"zsh"}}, "install --assumeyes --idempotent --allow-inactive zsh", "clean"},
		{osupdate.Request{Verb: "rollback"}, "rollback", "clean"},
		{osupdate.Request{Verb: "switch", Target: "fedora:f/44"}, "rebase fedora:f/44", "staged"},
		{osupdate.Request{Verb: "upgrade"}, "upgrade --unchanged-exit-77", "empty"},
		{osupdate.Request{Verb: "upgrade"}, "upgrade --unchanged-exit-77", "image"}, // follows something else now
	} {
		tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"rpm-ostree": {
			{In: "clean", Args: "status --json", Stdout: data(t, "clean")},
			{In: "lied", Args: "status --json", Stdout: data(t, c.after)},
			{In: "clean", Args: c.args, To: "lied"},
		}})
		if _, err := open(t, tool, nil).Do(t.Context(), c.r, false); !errors.Is(err, osupdate.ErrUnverified) {
			t.Errorf("%s, then %s: %v", c.args, c.after, err)
		}
	}
}

func TestHangAndSilence(t *testing.T) {
	tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"rpm-ostree": {
		{Args: "status --json", Stdout: data(t, "clean")},
		{Args: "upgrade --unchanged-exit-77", Shell: "echo 'Receiving objects: 1%'; exec sleep 600"},
	}})
	cfg := config(t, tool, nil)
	tools := *cfg.Tools
	tools.Idle = 300e6 // 0.3 s
	cfg.Tools = &tools
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); !errors.Is(err, osupdate.ErrTimeout) {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"rpm-ostree": {
		{In: "clean", Args: "status --json", Stdout: data(t, "clean")}, {In: "staged", Args: "status --json", Stdout: data(t, "staged")},
		{Args: "upgrade --unchanged-exit-77", Stdout: "Receiving objects: 40%\rReceiving objects: 100%\nStaging deployment...done\n", To: "staged"},
	}})
	cfg := config(t, tool, nil)
	var got []int64
	cfg.Progress = func(p osupdate.Progress) { got = append(got, p.Done) }
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); err != nil || !slices.Equal(got, []int64{40, 100}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestCheckImage: a container origin costs one HEAD request and no password.
func TestCheckImage(t *testing.T) {
	asked := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method != http.MethodHead || r.Host != "quay.io" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("f", 64))
	}))
	defer srv.Close()
	client := srv.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.Proxy = nil
	addr := srv.Listener.Addr().String()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	tool := osupdatetest.NewTool(t, "image", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: data(t, "image")}}})
	c, err := open(t, tool, client).Check(t.Context())
	if err != nil || c.Update == nil || c.Update.Checksum != "sha256:"+strings.Repeat("f", 64) || asked != 1 {
		t.Errorf("%+v, %v, %d requests", c, err, asked)
	}
}

func TestCheckKnowsSeverity(t *testing.T) {
	tool := osupdatetest.NewTool(t, "cached", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: data(t, "cached")}}})
	c, err := open(t, tool, nil).Check(t.Context())
	if err != nil || c.Update == nil || c.Update.Version != "43.2" || c.Update.Severity != "critical" || len(c.Update.Advisories) != 2 {
		t.Errorf("%+v, %v", c.Update, err)
	}
	tool = osupdatetest.NewTool(t, "staged", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: data(t, "staged")}}})
	if c, err = open(t, tool, nil).Check(t.Context()); err != nil || c.Update != nil || c.Staged != "43.2" {
		t.Errorf("staged already: %+v, %v", c, err)
	}
}

func TestDiff(t *testing.T) {
	b, c := strings.Repeat("b", 64), newest
	tool := osupdatetest.NewTool(t, "staged", map[string][]osupdatetest.Call{"rpm-ostree": {
		{Args: "status --json", Stdout: data(t, "staged")},
		{Args: "db diff --format=diff " + b + " " + c, Stdout: "ostree diff commit from: " + b + "\nostree diff commit to:   " + c + "\n!bash-5.2-1.x86_64\n=bash-5.3-1.x86_64\n-gone-1-1.noarch\n+fresh-1-1.noarch\n"},
	}})
	d, err := open(t, tool, nil).Diff(t.Context(), "", "")
	if err != nil || !slices.Equal(d.Changed, []string{"bash-5.2-1.x86_64 -> bash-5.3-1.x86_64"}) || !slices.Equal(d.Added, []string{"fresh-1-1.noarch"}) || !slices.Equal(d.Removed, []string{"gone-1-1.noarch"}) {
		t.Errorf("%+v, %v", d, err)
	}
}

func FuzzStatus(f *testing.F) {
	for _, name := range []string{"clean", "layered", "image", "cached", "old-2018"} {
		f.Add([]byte(data(f, name)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, _, err := rpmostree.Parse(in); err == nil {
			osupdatetest.Use(t, s)
		}
	})
}
