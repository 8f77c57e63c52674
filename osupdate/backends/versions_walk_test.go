package backends_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/backends"
	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// slots is a fake host of an updater that knows versions, with tbx on it.
type slots struct {
	t     *testing.T
	fake  *fakehost.Versions
	state string
	steps []string
	verbs []osupdate.Request
}

func newSlots(t *testing.T, updater string, writable bool) *slots {
	t.Helper()
	m := &slots{t: t, fake: fakehost.NewVersions(t, updater), state: t.TempDir()}
	if writable {
		m.fake.Writable = true
		if err := m.fake.Save(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if strays, err := os.ReadFile(filepath.Join(m.fake.Root(), "strays")); err == nil {
			t.Errorf("after %q: calls that the fake does not know:\n%s", m.steps, strays)
		}
	})
	return m
}

func (m *slots) errorf(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("after %q: %s", m.steps, fmt.Sprintf(format, args...))
}

func (m *slots) open() *osupdate.Host {
	m.t.Helper()
	h, err := osupdate.Open(osupdate.Config{
		Root: m.fake.Root(), Superuser: true, StateDir: m.state, LockPath: filepath.Join(m.state, "lock"),
		Tools:      &osupdate.Tools{Dirs: m.fake.Programs(), Idle: time.Minute, Patient: time.Second},
		NewBackend: backends.New(filepath.Join(m.state, "cache"), nil),
	})
	if err != nil {
		m.t.Fatalf("after %q: %v", m.steps, err)
	}
	return h
}

func (m *slots) do(r osupdate.Request) (*osupdate.Result, error) {
	m.t.Helper()
	m.steps = append(m.steps, string(r.Verb)+" "+strings.Join(r.Words(), " "))
	res, err := m.open().Do(m.t.Context(), r, false)
	m.fake.Reload(m.t)
	return res, err
}

func (m *slots) must(r osupdate.Request) {
	m.t.Helper()
	if _, err := m.do(r); err != nil {
		m.t.Fatalf("after %q: %v", m.steps, err)
	}
}

func (m *slots) boot() {
	m.steps = append(m.steps, "boot")
	m.fake.Boot(m.t)
}

// name is how the model calls a deployment.
func (m *slots) name(d *osupdate.Deployment) string {
	if d == nil {
		return "none"
	}
	return strings.TrimPrefix(strings.TrimPrefix(d.ID, "snapshot-"), "version ")
}

// look: what status says runs and boots next does, and nothing that reads changes
// anything.
func (m *slots) look() {
	m.t.Helper()
	before := m.fake.Snapshot(m.t)
	st, err := m.open().Status(m.t.Context())
	if err != nil {
		m.errorf("status: %v", err)
		return
	}
	if s := st.State; m.name(s.Next()) != m.fake.Next().Name || m.name(s.Booted()) != m.fake.Running().Name || st.Unbooted != nil {
		m.errorf("%s runs and %s is next, and status says %s and %+v; alarm %+v", m.fake.Running().Name, m.fake.Next().Name, m.name(s.Booted()), s.Boot, st.Unbooted)
	}
	checked, err := m.open().Check(m.t.Context())
	if err != nil {
		m.errorf("check: %v", err)
		return
	}
	if news := m.fake.Newest != m.fake.Next().Version; news != (checked.Update != nil) && len(checked.NotChecked) == 0 {
		m.errorf("the newest is %s, %s is next, and check says %+v", m.fake.Newest, m.fake.Next().Version, checked)
	}
	for _, r := range m.verbs {
		if _, err := m.open().Do(m.t.Context(), r, true); err != nil && !known(err) {
			m.errorf("dry run of %s: %v, hints %q", r.Verb, err, fail.Hints(err))
		}
	}
	if after := m.fake.Snapshot(m.t); after != before {
		m.errorf("reading changed the host:\n%s\nwas\n%s", after, before)
	}
}

// try carries out a verb twice, and holds its results against the model.
func (m *slots) try(r osupdate.Request) {
	m.t.Helper()
	running, offered := m.fake.Running().Version, m.fake.Newest
	checked, checkErr := m.open().Check(m.t.Context())
	res, err := m.do(r)
	if checkErr != nil {
		m.errorf("check: %v", checkErr)
	} else if wrong := contradicts(checked, err); wrong != "" && r.Verb == osupdate.Upgrade {
		m.errorf("%s", wrong)
	}
	if err != nil {
		if nowhere := followed(m.t, m.open(), err); !known(err) || nowhere != "" {
			m.errorf("%v, hints %q; no hint leads on: %q", err, fail.Hints(err), nowhere)
		}
		return
	}
	next := m.fake.Next()
	switch {
	case m.name(res.After) != next.Name:
		m.errorf("%s boots next, and the result says %+v", next.Name, res.After)
	case r.Verb == osupdate.Upgrade && next.Version != offered && res.Unchanged == "":
		m.errorf("check offered %s, and the upgrade took %s", offered, next.Version)
	case r.Verb == osupdate.Cancel && res.Unchanged == "" && next.Version != running:
		m.errorf("%s boots next after cancel, and %s runs", next.Version, running)
	case r.Verb == osupdate.Rollback && res.Unchanged == "" && next.Version > running && r.Target != "booted" && m.fake.Updater != "abroot": // which has one other root
		m.errorf("the way back goes forward, from %s to %s", running, next.Version)
	}
	again, err := m.do(r)
	switch {
	case err != nil && !known(err):
		m.errorf("the second time: %v", err)
	case err == nil && again.Unchanged == "":
		m.errorf("the second time it changed something: %+v", again.After)
	}
}

// TestH74_WalkOfVersions goes through the states of systemd-sysupdate, ABRoot and
// transactional-update, on a read-only root and on a writable one.
func TestH74_WalkOfVersions(t *testing.T) {
	upgrade, back := osupdate.Request{Verb: osupdate.Upgrade}, osupdate.Request{Verb: osupdate.Rollback}
	install := osupdate.Request{Verb: osupdate.Install, Packages: []string{"htop"}}
	for name, c := range map[string]struct {
		updater  string
		writable bool
		verbs    []osupdate.Request
	}{
		"systemd-sysupdate":              {"systemd-sysupdate", false, []osupdate.Request{upgrade, {Verb: osupdate.Cleanup}}},
		"abroot":                         {"abroot", false, []osupdate.Request{upgrade, back, {Verb: osupdate.Rollback, Target: "booted"}, {Verb: osupdate.Cancel}, install, {Verb: osupdate.Switch, Target: "ghcr.io/lab/other:1"}}},
		"transactional-update":           {"transactional-update", false, []osupdate.Request{upgrade, back, {Verb: osupdate.Rollback, Target: "booted"}, {Verb: osupdate.Cancel}, install}},
		"transactional-update, writable": {"transactional-update", true, []osupdate.Request{upgrade, back, {Verb: osupdate.Rollback, Target: "booted"}, {Verb: osupdate.Cancel}, install}},
	} {
		for situation, steps := range map[string][]string{
			"clean": nil, "upgraded": {"upgrade"}, "upgraded and booted": {"upgrade", "boot"}, "rolled back": {"rollback"},
			"rolled back and booted": {"rollback", "boot"}, "upgraded, then a newer one appears": {"upgrade", "newer"},
			"installed": {"install"}, "upgraded and rolled back": {"upgrade", "boot", "rollback"}, "upgraded twice": {"upgrade", "boot", "newer", "upgrade"},
		} {
			if c.updater == "systemd-sysupdate" && (slices.Contains(steps, "rollback") || slices.Contains(steps, "install")) {
				continue
			}
			t.Run(name+"/"+situation, func(t *testing.T) {
				t.Parallel()
				for i, r := range c.verbs {
					if i > 0 && !tried(situation, i) {
						continue
					}
					m := newSlots(t, c.updater, c.writable)
					m.verbs = c.verbs
					for _, step := range steps {
						switch step {
						case "boot":
							m.boot()
						case "newer":
							m.fake.Newest = "4"
							if err := m.fake.Save(); err != nil {
								t.Fatal(err)
							}
						default:
							m.must(map[string]osupdate.Request{"upgrade": upgrade, "rollback": back, "install": install}[step])
						}
					}
					if i == 0 {
						m.look()
					}
					m.try(r)
					m.look()
					m.boot()
					m.look()
				}
			})
		}
	}
}
