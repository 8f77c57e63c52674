package rpmostree_test

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
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
)

// recorded is the JSON of a recorded `rpm-ostree status --json`.
func recorded(t *testing.T, name string) string {
	t.Helper()
	return osupdatetest.ReadRecorded(t, "testdata/real/"+name+".txt")[0].Stdout
}

// host is one whose rpm-ostree shows the recorded status, whatever is asked.
func host(t *testing.T, name string, more ...osupdatetest.Call) *osupdate.Host {
	t.Helper()
	calls := append([]osupdatetest.Call{{Args: "status --json", Stdout: recorded(t, name)}, {Args: "status", Code: 1, Maybe: true}}, more...)
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": calls})
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		b, err := rpmostree.New(c.Tools, nil, nil)
		if err != nil {
			return nil, err
		}
		return b.At("", true), nil
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestH35_RecordedStates: each status that rpm-ostree 2026.2 gave is a sound state.
func TestH35_RecordedStates(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*json.txt")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, r := range osupdatetest.ReadRecorded(t, file) {
			if r.Command != "rpm-ostree status --json" {
				continue
			}
			s, err := host(t, strings.TrimSuffix(filepath.Base(file), ".txt")).Backend().State(t.Context())
			if err != nil || s.Sound() != nil || s.Next() == nil || s.Booted() == nil || s.Tracked == "" {
				t.Errorf("%s: %+v, %v", file, s, err)
			}
		}
	}
	s, err := host(t, "status-override-json").Backend().State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next := s.Next(); !next.Staged || !slices.Equal(next.Changes.Replaced, []string{"tool"}) || len(next.Changes.NotInUse) > 0 || next.Signature != "valid" || next.BaseTime == nil {
		t.Errorf("an override from a repository: %+v, %+v", next, next.Changes)
	}
	if s, err = host(t, "status-live-json").Backend().State(t.Context()); err != nil || s.Booted().Unlocked != "transient" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestH35_RecordedErrors: each text has its kind and a next step.
func TestH35_RecordedErrors(t *testing.T) {
	want := map[string]*osupdate.Problem{
		"deploy-no-version": osupdate.ErrNotFound, "deploy-no-commit": osupdate.ErrNotFound, "dev-kargs": osupdate.ErrPermission, "install-conflict": osupdate.ErrConflict,
		"install-needs-missing": osupdate.ErrConflict, "install-no-package": osupdate.ErrNotFound, "override-remove-not-in-base": osupdate.ErrNotFound,
		"override-replace-no-repo": osupdate.ErrNotFound, "rebase-no-ref": osupdate.ErrNotFound, "rebase-no-remote": osupdate.ErrNotFound, "rollback-alone": osupdate.ErrNoRollback,
		"rollback-staged": osupdate.ErrNoRollback, "status-daemon-masked": osupdate.ErrUnsupported, "uninstall-not-layered": osupdate.ErrNotFound,
		"upgrade-driver-active": osupdate.ErrManaged, "upgrade-server-down": osupdate.ErrNetwork, "upgrade-unsigned": osupdate.ErrSignature,
		"usroverlay-dev": osupdate.ErrPermission, "install-lock-layering": osupdate.ErrManaged, "b-rebase-image-bare": osupdate.ErrNotFound,
	}
	b := host(t, "status-alone-json").Backend()
	for name, kind := range want {
		r := osupdatetest.ReadRecorded(t, "testdata/real/"+name+".txt")[0]
		err := b.Explain(&osupdate.ToolError{Argv: []string{"/usr/bin/rpm-ostree"}, Code: r.Code, Stdout: r.Stdout, Stderr: r.Stderr})
		if !errors.Is(err, kind) || len(fail.Hints(err)) == 0 || r.Code == 0 {
			t.Errorf("%s: code %d, %v", name, r.Code, err)
		}
	}
	_, _ = b.State(t.Context()) // the fake wants to be asked once
}

// TestH14_LayeredUpdates: the base has no news, a layered package has.
func TestH14_LayeredUpdates(t *testing.T) {
	none := osupdatetest.ReadRecorded(t, "testdata/real/check-none.txt")[0]
	found := osupdatetest.ReadRecorded(t, "testdata/real/check-layered-update.txt")[0]
	h := host(t, "status-cached-layered-json", osupdatetest.Call{Args: "upgrade --check", Stdout: found.Stdout, Stderr: found.Stderr})
	c, err := h.Check(t.Context())
	if err != nil || c.Update == nil || c.Update.Packages == nil || !slices.Contains(c.Update.Packages.Changed, "hello 1.0-1 -> 2.0-1") {
		t.Errorf("%+v, %v", c.Update, err)
	}
	h = host(t, "status-cached-layered-json", osupdatetest.Call{Args: "upgrade --check", Stdout: none.Stdout, Stderr: none.Stderr, Code: none.Code})
	if c, err := h.Check(t.Context()); err != nil || c.Update != nil || len(c.NotChecked) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	user := host(t, "status-cached-layered-json")
	user.Backend().(*rpmostree.Backend).At("", false)
	if words := user.Backend().(osupdate.Limited).NotChecked(must(user.Backend().State(t.Context()))); len(words) == 0 {
		t.Error("a user is not told that layers were not looked at")
	}
}

func must(s *osupdate.State, err error) *osupdate.State {
	if err != nil {
		panic(err)
	}
	return s
}

// TestH17_LocalPackages are removed by name and by full name.
func TestH17_LocalPackages(t *testing.T) {
	doc := strings.Replace(recorded(t, "status-alone-json"), `"requested-local-packages" : []`, `"requested-local-packages" : ["docker-ce-18.05-3.x86_64"]`, 1)
	for _, name := range []string{"docker-ce", "docker-ce-18.05-3.x86_64"} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: doc}}})
		p, err := osupdatetest.Plan(t.Context(), open(t, tool, nil), osupdate.Request{Verb: osupdate.Uninstall, Packages: []string{name}})
		if err != nil || p.Unchanged != "" || !slices.Contains(p.Steps[0].Argv, name) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestH21_AgentThatDoesNotRun: its registration lasts until the reboot.
func TestH21_AgentThatDoesNotRun(t *testing.T) {
	for state, refused := range map[string]bool{"inactive": false, "failed": false, "active": true, "": true} {
		for _, r := range []osupdate.Request{{Verb: osupdate.Upgrade}, {Verb: osupdate.Switch, Target: "fedora:fedora/44"}} {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{
				"rpm-ostree": {{Args: "status --json", Stdout: data(t, "driven")}},
				"systemctl":  {{Args: "is-active zincati.service", Stdout: state + "\n", Code: 3}},
			})
			p, err := osupdatetest.Plan(t.Context(), open(t, tool, nil), r)
			if errors.Is(err, osupdate.ErrManaged) != refused || !refused && (err != nil || len(p.Steps) == 0) {
				t.Errorf("%s when its unit is %q: %+v, %v", r.Verb, state, p, err)
			}
		}
	}
}

// TestH36_OverrideWithoutEffect: rpm-ostree takes the name of a package that the
// base does not have, with code 0.
func TestH36_OverrideWithoutEffect(t *testing.T) {
	before := recorded(t, "status-override-json")
	before = strings.ReplaceAll(before, `"tool"`, `"other"`)
	after := strings.Replace(recorded(t, "status-override-json"), `"tool-1.1-1.noarch",`+"\n              \"tool\"", `"x-1.1-1.noarch",`+"\n              \"x\"", 1)
	after = strings.Replace(after, `"tool-1.0-1.noarch",`+"\n              \"tool\"", `"x-1.0-1.noarch",`+"\n              \"x\"", 1)
	r := osupdatetest.ReadRecorded(t, "testdata/real/override-replace-not-in-repo.txt")[0]
	tool := osupdatetest.NewTool(t, "before", map[string][]osupdatetest.Call{"rpm-ostree": {
		{In: "before", Args: "status --json", Stdout: before}, {In: "after", Args: "status --json", Stdout: after},
		{Args: "override replace --experimental --from repo=lab tool", Stdout: r.Stdout, To: "after"},
	}})
	_, err := open(t, tool, nil).Do(t.Context(), osupdate.Request{Verb: osupdate.OverrideReplace, From: "lab", Packages: []string{"tool"}}, false)
	if !errors.Is(err, osupdate.ErrUnverified) || !strings.Contains(err.Error(), "without effect") {
		t.Errorf("%v", err)
	}
}

// TestH61_WhoWorks: the JSON has a method and a number of the bus; the text that 2026.2
// printed has the command and its client.
func TestH61_WhoWorks(t *testing.T) {
	text := osupdatetest.ReadRecorded(t, "testdata/real/status-cached-v.txt")[0].Stdout
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {
		{Args: "status --json", Stdout: data(t, "busy")}, {Args: "status", Stdout: text},
	}})
	st, err := open(t, tool, nil).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b := st.State.Busy; b == nil || b.What != "rpm-ostree install --assumeyes --idempotent --allow-inactive nosuchpkg" || b.Who != "the client tbx of user 0 in session-2.scope" {
		t.Errorf("%+v", b)
	}
}

// TestH62_NothingToDownload: the second download is no change, by the code that 2026.2
// ended with.
func TestH62_NothingToDownload(t *testing.T) {
	r := osupdatetest.ReadRecorded(t, "testdata/real/upgrade-download-only-none-77.txt")[0]
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {
		{Args: "status --json", Stdout: recorded(t, "status-alone-json")},
		{Args: "upgrade --unchanged-exit-77 --download-only", Stdout: r.Stdout, Stderr: r.Stderr, Code: r.Code},
	}})
	res, err := open(t, tool, nil).Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}, false)
	if err != nil || res.Unchanged == "" || r.Code != 77 {
		t.Errorf("code %d: %+v, %v", r.Code, res, err)
	}
}

// TestH66_PackageFiles are layered by rpm-ostree itself, which the name that it then
// shows proves; what is no file, and what root would read for another user, is refused.
func TestH66_PackageFiles(t *testing.T) {
	file := t.TempDir() + "/driver-1.2-3.x86_64.rpm"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := recorded(t, "status-alone-json")
	with := func(name string) string {
		return strings.Replace(before, `"requested-local-packages" : []`, `"requested-local-packages" : ["`+name+`"]`, 1)
	}
	for name, c := range map[string]struct {
		after string
		want  error
	}{
		"as it is called":      {with("driver-1.2-3.x86_64"), nil},
		"called otherwise":     {with("kmod-driver-1.2-3.x86_64"), nil},
		"ends with 0, nothing": {before, osupdate.ErrUnverified},
	} {
		tool := osupdatetest.NewTool(t, "before", map[string][]osupdatetest.Call{"rpm-ostree": {
			{In: "before", Args: "status --json", Stdout: before}, {In: "after", Args: "status --json", Stdout: c.after},
			{Args: "install --assumeyes --idempotent --allow-inactive " + file, To: "after"},
		}})
		if _, err := open(t, tool, nil).Do(t.Context(), osupdate.Request{Verb: osupdate.Install, Packages: []string{file}}, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, want := range map[string]error{
		file + "x.rpm": osupdate.ErrNotFound, "/etc/../etc/x.rpm": fail.Usage, "/etc/shadow": fail.Usage, "./x.rpm": fail.Usage, "/tmp/a b.rpm": fail.Usage, "http://x/y.rpm": fail.Usage,
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: before, Maybe: true}}})
		r := osupdate.Request{Verb: osupdate.Install, Packages: []string{path}}
		if _, err := open(t, tool, nil).Do(t.Context(), r, false); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestH72_MissingAccount: the daemon's account is not on the system; the words are those
// that 2026.2 printed on a Debian without it.
func TestH72_MissingAccount(t *testing.T) {
	r := osupdatetest.ReadRecorded(t, "testdata/real/b-switch-image-v3.txt")[0]
	_, words, ok := strings.Cut(r.Stderr, "ended with code 1: ")
	if !ok {
		t.Fatalf("%q", r.Stderr)
	}
	b := host(t, "status-alone-json").Backend()
	err := b.Explain(&osupdate.ToolError{Argv: []string{"/usr/bin/rpm-ostree"}, Code: 1, Stderr: words})
	if !strings.Contains(err.Error(), "needs the account rpm-ostree") || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
	_, _ = b.State(t.Context()) // the fake wants to be asked once
}

// TestH82_ApplyLiveReplacesNothing: the words are those of 2026.2 where the next system
// does not only add packages.
func TestH82_ApplyLiveReplacesNothing(t *testing.T) {
	b := host(t, "status-alone-json").Backend()
	for _, what := range []string{"changed", "removed"} {
		err := b.Explain(&osupdate.ToolError{Argv: []string{"/usr/bin/rpm-ostree"}, Code: 1, Stderr: "error: packages would be " + what + ": 2, allow replacement to override\n"})
		if !errors.Is(err, osupdate.ErrUnsupported) || !strings.Contains(err.Error(), what) || !strings.Contains(strings.Join(fail.Hints(err), " "), "tbx host reboot") {
			t.Errorf("%v", err)
		}
	}
	_, _ = b.State(t.Context()) // the fake wants to be asked once
}

// TestH83_InitramfsFiles of /etc are changes, and so shown.
func TestH83_InitramfsFiles(t *testing.T) {
	doc := strings.Replace(recorded(t, "status-alone-json"), `"requested-local-packages" : []`, `"requested-local-packages" : [], "initramfs-etc" : ["/etc/lab.conf"]`, 1)
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: doc}}})
	st, err := open(t, tool, nil).Status(t.Context())
	if err != nil || !slices.Contains(st.State.Deployments[0].Changes.Files, "/etc/lab.conf") || !st.State.Deployments[0].Changes.Any() {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestH84_VersionOfAnImagesUpdate: what rpm-ostree found of the image completes what the
// registry says, which is a digest alone.
func TestH84_VersionOfAnImagesUpdate(t *testing.T) {
	found := osupdatetest.ReadRecorded(t, "testdata/real/b-cached-image.txt")[0].Stdout
	doc := recorded(t, "b-status-image-alone-json")
	doc = doc[:strings.LastIndex(doc, "}")] + `, "cached-update" : ` + found + "}"
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: doc}}})
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	digest := "sha256:" + strings.Repeat("d", 64)
	cfg.NewBackend = func(_ osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return rpmostree.New(c.Tools, func(context.Context, string, string) (string, error) { return digest, nil }, nil)
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Check(t.Context())
	if err != nil || c.Update == nil || c.Update.Checksum != digest || c.Update.Version == "" || c.Update.Bytes == 0 {
		t.Errorf("%+v, %v", c.Update, err)
	}
}
