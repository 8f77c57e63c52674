package osupdate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// checking is a still host whose source answers err.
type checking struct {
	still
	err error
}

func (b *checking) Capabilities() osupdate.Capabilities {
	return osupdate.Capabilities{Has: []osupdate.Capability{osupdate.CanCheck}}
}
func (b *checking) Check(context.Context, *osupdate.State) (*osupdate.Update, error) {
	return nil, b.err
}

// doctor is what doctor finds on a host with that source and environment.
func doctor(t *testing.T, b osupdate.Backend, superuser bool, env ...string) map[string]osupdate.Finding {
	t.Helper()
	root := t.TempDir()
	write(t, root+"/run/ostree-booted", "")
	write(t, root+"/proc/cmdline", "quiet")
	h, err := osupdate.Open(osupdate.Config{
		Root: root, StateDir: root + "/state", LockPath: root + "/lock", Superuser: superuser, Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}, Env: env},
		NewBackend: func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) { return b, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.Doctor(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]osupdate.Finding{}
	for _, f := range list {
		out[f.Name] = f
	}
	return out
}

func oneSystem(follows string) still {
	return still{state: osupdate.State{Backend: osupdate.OSTree, Deployments: []osupdate.Deployment{{ID: "a", Version: "42.1", Checksum: "aaa", Booted: true, Tracks: follows, EndOfLife: "gone", Successor: "x:new"}}}}
}

// TestH15_DoctorTriesTheSource: with this user's proxy it is reached, and the updater,
// which works as root, does not see that proxy.
func TestH15_DoctorTriesTheSource(t *testing.T) {
	f := doctor(t, &checking{oneSystem("x:y"), nil}, false, "https_proxy=http://proxy:1", "no_proxy=x")
	if f["source"].Status != "ok" || f["proxy"].Status != "warning" || !strings.Contains(f["proxy"].Detail, "https_proxy") || f["proxy"].Hint == "" {
		t.Errorf("%+v", f)
	}
	if f["end of life"].Status != "warning" || !strings.Contains(f["end of life"].Hint, "x:new: tbx host switch --successor") {
		t.Errorf("%+v", f["end of life"])
	}
	refused := fail.New(osupdate.ErrPermission, "the registry wants other credentials").Hint("put them there")
	if f = doctor(t, &checking{oneSystem("x:y"), refused}, true); f["source"].Status != "warning" || f["source"].Hint != "put them there" || f["proxy"].Name != "" {
		t.Errorf("%+v", f)
	}
	if f = doctor(t, &checking{oneSystem(strings.Repeat("a", 64)), nil}, true); f["source"].Status != "warning" || !strings.Contains(f["source"].Detail, "single commit") {
		t.Errorf("%+v", f["source"])
	}
}

// TestH41_WhyItDidNotBoot: the unit that tells it has removed the updater's note; the
// journal of this boot has it.
func TestH41_WhyItDidNotBoot(t *testing.T) {
	root := t.TempDir()
	h := booted(t, root)
	write(t, root+"/bin/systemctl", "#!/bin/sh\necho failed\n")
	write(t, root+"/bin/journalctl", "#!/bin/sh\necho 'error: ostree-finalize-staged.service failed on previous boot: No space left on device'\n")
	for _, name := range []string{"systemctl", "journalctl"} {
		if err := os.Chmod(filepath.Join(root, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Doctor(t.Context(), nil); !errors.Is(err, osupdate.ErrFinalize) || !strings.Contains(err.Error(), "no space left") || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
}

// lacking is a still host that cannot pin.
type lacking struct{ still }

func (b *lacking) Capabilities() osupdate.Capabilities {
	return osupdate.Capabilities{Lacks: map[osupdate.Capability]string{"pin": "no", "cancel": "no"}}
}
func (b *lacking) Plan(_ context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	_, err := s.Back(r.Target)
	return nil, err
}

// TestH42_HintsThatCanBeFollowed: none names a verb that this updater does not have.
func TestH42_HintsThatCanBeFollowed(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/run/ostree-booted", "")
	write(t, root+"/proc/cmdline", "quiet")
	h, err := osupdate.Open(osupdate.Config{
		Root: root, StateDir: root + "/state", LockPath: root + "/lock", Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}},
		NewBackend: func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) {
			return &lacking{oneSystem("x:y")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Rollback})
	if hints := strings.Join(fail.Hints(err), "; "); !errors.Is(err, osupdate.ErrNoRollback) || hints == "" || strings.Contains(hints, "host pin") {
		t.Errorf("%v, hints %q", err, hints)
	}
}

// TestH43_SysrootsHaveHistoriesOfTheirOwn: what was done to a directory is no news of
// the running host.
func TestH43_SysrootsHaveHistoriesOfTheirOwn(t *testing.T) {
	root := t.TempDir()
	h := booted(t, root)
	write(t, root+"/state/history.jsonl", `{"op":"1","phase":"begin","time":"2026-11-01T10:00:00Z","boot":"b","user":0,"backend":"ostree","request":{"verb":"upgrade"},"sysroot":"/srv/x"}`+"\n")
	st, err := h.Status(t.Context())
	if entries, herr := h.History(); err != nil || herr != nil || len(entries) != 0 || st.Interrupted != nil {
		t.Errorf("%+v, %+v, %v, %v", entries, st, err, herr)
	}
}
