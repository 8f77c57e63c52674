package osupdate_test

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// still is a backend whose host stands still.
type still struct {
	osupdate.Backend
	state osupdate.State
}

func (b *still) Kind() osupdate.Kind                 { return osupdate.OSTree }
func (b *still) Capabilities() osupdate.Capabilities { return osupdate.Capabilities{} }
func (b *still) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.OSTree, nil, te)
}
func (b *still) State(context.Context) (*osupdate.State, error) {
	s := b.state
	s.Deployments = append([]osupdate.Deployment{}, s.Deployments...)
	return s.Arrange(), nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// booted is a host that runs 42.1 below root.
func booted(t *testing.T, root string) *osupdate.Host {
	t.Helper()
	write(t, root+"/run/ostree-booted", "")
	write(t, root+"/proc/cmdline", "quiet")
	b := &still{state: osupdate.State{Backend: osupdate.OSTree, Deployments: []osupdate.Deployment{{ID: "a", Version: "42.1", Checksum: "aaa", Booted: true, Tracks: "x:y"}}}}
	h, err := osupdate.Open(osupdate.Config{
		Root: root, StateDir: root + "/state", LockPath: root + "/lock", Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}},
		NewBackend: func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) { return b, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestUpdateThatDidNotBoot: finalising it at shutdown failed, the old system
// runs, and all looks well. The history knows better.
func TestUpdateThatDidNotBoot(t *testing.T) {
	const entry = `{"op":"1","phase":"%","time":"2026-11-01T10:00:00Z","boot":"before","user":0,"backend":"ostree","request":{"verb":"upgrade"},"intended":"42.2","content":"bbb","outcome":"done"}` + "\n"
	for name, c := range map[string]struct {
		history, boot, stamp, systemctl string
		unbooted                        bool
		want                            string // of doctor's error; empty: none
	}{
		"another boot, the old system": {entry, "now", "", "", true, "42.2 should have booted and did not"},
		"not rebooted yet":             {entry, "before", "", "", false, ""},
		"another boot, as intended":    {strings.Replace(entry, "bbb", "aaa", 1), "now", "", "", false, ""},
		"a failed one does not count":  {strings.Replace(entry, `"done"`, `"failed"`, 1), "now", "", "", false, ""},
		"no history":                   {"", "now", "", "active", false, ""},
		"a torn line at the end":       {entry + `{"op":"2","phase":"be`, "now", "", "", true, "42.2 should have booted and did not"},
		"the updater's own stamp":      {"", "now", "error: No space left on device", "", false, "could not finish an update: ostree: there is no space"},
		"both":                         {entry, "now", "error: No space left on device", "", true, "42.2 should have booted and did not: ostree: there is no space"},
		"a stamp that tbx cannot read": {"", "now", "error: something new", "", false, "could not finish an update: error: something new"},
		"the stamp is in the journal":  {"", "now", "", "failed", false, "ostree-boot-complete.service failed"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root+"/state/history.jsonl", strings.ReplaceAll(c.history, "%", "end"))
			write(t, root+"/proc/sys/kernel/random/boot_id", c.boot+"\n")
			if c.stamp != "" {
				write(t, root+"/boot/ostree/finalize-failure.stamp", c.stamp)
			}
			h := booted(t, root)
			if c.systemctl != "" {
				write(t, root+"/bin/systemctl", "#!/bin/sh\n[ \"$*\" = 'is-failed ostree-boot-complete.service' ] || exit 9\necho "+c.systemctl+"; [ "+c.systemctl+" = failed ]\n")
				if err := os.Chmod(root+"/bin/systemctl", 0o755); err != nil {
					t.Fatal(err)
				}
			}
			st, err := h.Status(t.Context())
			if err != nil || (st.Unbooted != nil) != c.unbooted || (st.Unfinished != nil) != (c.stamp != "") {
				t.Errorf("%+v, %v", st, err)
			}
			_, err = h.Doctor(t.Context(), nil)
			if errors.Is(err, osupdate.ErrFinalize) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || len(fail.Hints(err)) == 0) {
				t.Errorf("doctor: %v, hints %q", err, fail.Hints(err))
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	plain, container := t.TempDir(), t.TempDir()
	write(t, plain+"/usr/bin/apt-get", "")
	write(t, container+"/run/.containerenv", "")
	for root, want := range map[string]error{plain: osupdate.ErrNotImage, container: osupdate.ErrInContainer} {
		h, err := osupdate.Open(osupdate.Config{Root: root})
		if !errors.Is(err, want) || len(fail.Hints(err)) == 0 || len(h.Detection().Evidence) == 0 {
			t.Errorf("%v, hints %q", err, fail.Hints(err))
		}
	}
}

func TestLiveMediumIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/run/ostree-live", "")
	if _, err := booted(t, root).Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); !errors.Is(err, osupdate.ErrUnsupported) {
		t.Error(err)
	}
}

// TestWayBack: the last other system is kept until the next one has run.
func TestWayBack(t *testing.T) {
	root := t.TempDir()
	h := booted(t, root)
	b := h.Backend().(*still)
	b.state.Deployments = []osupdate.Deployment{{ID: "new", Checksum: "n"}, {ID: "a", Checksum: "a", Booted: true}, {ID: "old", Checksum: "o"}}
	_, err := osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"rollback"}})
	if !errors.Is(err, osupdate.ErrUnsafe) || len(fail.Hints(err)) == 0 {
		t.Error(err)
	}
}

// TestH80_OwnSessions: root's systemctl refuses for every session of another user; those of
// the user who asks are none, and others are.
func TestH80_OwnSessions(t *testing.T) {
	const retry = "Please retry operation after closing inhibitors and logging out other users.\n'systemd-inhibit' can be used to list active inhibitors.\nAlternatively, ignore inhibitors and users with 'systemctl reboot -i'.\n"
	me, err := user.LookupId("1")
	if err != nil {
		t.Fatal(err)
	}
	own := "User " + me.Username + " is logged in on sshd.\n"
	for said, restarts := range map[string]bool{
		own + retry: true, own + own + retry: true, own + "User other is logged in on tty2.\n" + retry: false, "User other is logged in on tty2.\n" + retry: false,
		own + "Operation inhibited by \"backup\" (PID 12 \"sleep\", user root), reason is \"copying\".\n" + retry: false, retry: false,
	} {
		for asker, may := range map[int]bool{1: true, 0: false} {
			root := t.TempDir()
			write(t, root+"/run/ostree-booted", "")
			write(t, root+"/proc/cmdline", "quiet")
			write(t, root+"/said", said)
			write(t, root+"/bin/systemctl", "#!/bin/sh\n[ \"$1 $2\" != 'reboot --check-inhibitors=no' ] || exec touch "+root+"/restarted\ncat "+root+"/said >&2; exit 1\n")
			if err := os.Chmod(root+"/bin/systemctl", 0o755); err != nil {
				t.Fatal(err)
			}
			b := oneSystem("x:y")
			h, err := osupdate.Open(osupdate.Config{
				Root: root, StateDir: root + "/state", LockPath: root + "/lock", Superuser: true, User: asker, Tools: &osupdate.Tools{Dirs: []string{root + "/bin", "/usr/bin"}},
				NewBackend: func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) { return &b, nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Reboot}, false)
			_, is := os.Stat(root + "/restarted")
			if want := restarts && may; want != (err == nil) || want != (is == nil) || !want && !errors.Is(err, osupdate.ErrInhibited) {
				t.Errorf("user %d, %q: %v, restarted: %v", asker, said, err, is)
			}
		}
	}
}
