package backends_test

import (
	"context"
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

func TestMain(m *testing.M) {
	fakehost.Main()
	os.Exit(m.Run())
}

const (
	ref   = "lab:debian/trixie/x86_64/lab"
	image = "ostree-unverified-registry:quay.io/lab/host:1"
)

// machine is a fake host with tbx on it.
type machine struct {
	t     *testing.T
	fake  *fakehost.Host
	kind  osupdate.Kind
	state string // directory of the history
	steps []string
}

// composefs is bootc on its own storage.
const composefs osupdate.Kind = "composefs"

func newMachine(t *testing.T, kind osupdate.Kind) *machine {
	t.Helper()
	if kind == composefs {
		m := &machine{t: t, fake: fakehost.NewComposefs(t, image), kind: kind, state: t.TempDir()}
		t.Cleanup(m.noStrays)
		return m
	}
	follows := map[osupdate.Kind]string{osupdate.OSTree: ref, osupdate.RPMOSTree: ref, osupdate.Bootc: image}[kind]
	m := &machine{t: t, fake: fakehost.New(t, follows), kind: kind, state: t.TempDir()}
	without := map[osupdate.Kind][]string{osupdate.Bootc: {"rpm-ostree"}, osupdate.OSTree: {"rpm-ostree", "bootc"}}
	for _, name := range without[kind] { // bootc alone beside ostree, and ostree alone
		if err := os.Remove(filepath.Join(m.fake.Programs(), name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.open().Backend().Kind(); got != kind {
		t.Fatalf("%s was found, not %s", got, kind)
	}
	t.Cleanup(m.noStrays)
	return m
}

// newImageHost is a host of rpm-ostree's whose systems all come from an image, and which
// is bootc's therefore. A newer image waits.
func newImageHost(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t, osupdate.RPMOSTree)
	m.other(func(h *fakehost.Host) {
		for i := range h.Deployments {
			h.Deployments[i].Follows = image
		}
		h.Newest = map[string]string{image: "3"}
	})
	if kind := m.open().Backend().Kind(); kind != osupdate.Bootc {
		t.Fatalf("%s", kind)
	}
	return m
}

// noStrays fails where a program was called in a way that the fake does not know.
func (m *machine) noStrays() {
	if strays, err := os.ReadFile(filepath.Join(m.fake.Root(), "strays")); err == nil {
		m.t.Errorf("after %q: calls that the fake does not know:\n%s", m.steps, strays)
	}
}

func (m *machine) open() *osupdate.Host {
	m.t.Helper()
	newer := func(_ context.Context, reference, digest string) (string, error) {
		m.fake.Reload(m.t)
		for follows, version := range m.fake.Newest {
			if strings.HasSuffix(follows, reference) && fakehost.Digest(version) != digest {
				return fakehost.Digest(version), nil
			}
		}
		return "", nil
	}
	h, err := osupdate.Open(osupdate.Config{
		Root: m.fake.Root(), Superuser: true, StateDir: m.state, LockPath: filepath.Join(m.state, "lock"),
		Tools: &osupdate.Tools{Dirs: []string{m.fake.Programs()}, Idle: time.Minute, Patient: time.Second}, NewBackend: backends.New(filepath.Join(m.state, "cache"), newer),
	})
	if err != nil {
		m.t.Fatalf("after %q: %v", m.steps, err)
	}
	return h
}

// do carries out a verb, and returns the result or the error.
func (m *machine) do(r osupdate.Request) (*osupdate.Result, error) {
	m.t.Helper()
	m.steps = append(m.steps, string(r.Verb)+" "+strings.Join(r.Words(), " "))
	res, err := m.open().Do(m.t.Context(), r, false)
	m.fake.Reload(m.t)
	return res, err
}

func (m *machine) must(r osupdate.Request) *osupdate.Result {
	m.t.Helper()
	res, err := m.do(r)
	if err != nil {
		m.t.Fatalf("after %q: %v", m.steps, err)
	}
	return res
}

func (m *machine) status() *osupdate.Status {
	m.t.Helper()
	st, err := m.open().Status(m.t.Context())
	if err != nil {
		m.t.Fatalf("after %q: %v", m.steps, err)
	}
	return st
}

// other has another program change the host.
func (m *machine) other(change func(h *fakehost.Host)) {
	m.t.Helper()
	m.fake.Reload(m.t)
	change(m.fake)
	if err := m.fake.Save(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) boot(menu int) {
	m.t.Helper()
	m.steps = append(m.steps, fmt.Sprintf("boot entry %d", menu))
	m.fake.Reload(m.t)
	m.fake.Boot(m.t, menu)
}

func (m *machine) softBoot() {
	m.t.Helper()
	m.steps = append(m.steps, "soft reboot")
	m.fake.Reload(m.t)
	m.fake.SoftBoot(m.t)
}

func (m *machine) errorf(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("after %q: %s", m.steps, fmt.Sprintf(format, args...))
}

// holds checks what must be true in every state: nothing that reads changes
// anything, what status says boots next does, and nothing is called a failure that
// was none.
func (m *machine) holds() { m.t.Helper(); m.look(true) }

// agrees: what status says runs does, what it says boots next does, and nothing that is
// fine is called a failure.
func (m *machine) agrees() *osupdate.State {
	m.t.Helper()
	m.fake.Reload(m.t)
	st := m.status()
	s := st.State
	next := s.Next()
	if next == nil || next.ID != m.fake.Next().ID() || s.Boot.Next != next.ID {
		m.errorf("%s boots next, and status says %+v", m.fake.Next().ID(), s.Boot)
	}
	if running := m.fake.Running(); s.Booted() == nil || s.Booted().ID != running.ID() {
		m.errorf("%s runs, and status says %+v", running.ID(), s.Booted())
	}
	if st.Unbooted != nil {
		m.errorf("a false alarm: %+v", st.Unbooted)
	}
	for i, d := range s.Deployments {
		if d.ID != m.fake.Deployments[i].ID() {
			m.errorf("index %d is %s, and ostree's is %s", i, d.ID, m.fake.Deployments[i].ID())
		}
	}
	return s
}

// look is holds, and without thorough only what status and check say.
func (m *machine) look(thorough bool) {
	m.t.Helper()
	m.fake.Reload(m.t)
	before := m.fake.Snapshot(m.t)
	s := m.agrees()
	h := m.open()
	checked, err := h.Check(m.t.Context())
	if err != nil {
		m.errorf("check: %v", err)
		return
	}
	if checked.Staged != "" && (s.Waits() == nil || checked.Update != nil) {
		m.errorf("check says that %s waits, and status %+v", checked.Staged, s.Boot)
	}
	if !thorough {
		if after := m.fake.Snapshot(m.t); after != before {
			m.errorf("reading changed the host:\n%s\nwas\n%s", after, before)
		}
		return
	}
	for _, r := range requests(m.kind) {
		if _, err := m.open().Do(m.t.Context(), r, true); err != nil {
			if nowhere := followed(m.t, m.open(), err); !known(err) || nowhere != "" {
				m.errorf("dry run of %s: %v; no hint leads on: %q", r.Verb, err, nowhere)
			}
		}
	}
	if _, err := h.Diff(m.t.Context(), "", ""); err != nil && !known(err) {
		m.errorf("diff: %v", err)
	}
	if _, err := h.Doctor(m.t.Context(), nil); err != nil {
		m.errorf("doctor: %v", err)
	}
	if after := m.fake.Snapshot(m.t); after != before {
		m.errorf("reading changed the host:\n%s\nwas\n%s", after, before)
	}
}

// requests are what a user of that kind of host may ask for.
func requests(kind osupdate.Kind) []osupdate.Request {
	all := []osupdate.Request{
		{Verb: osupdate.Upgrade}, {Verb: osupdate.Upgrade, DownloadOnly: true}, {Verb: osupdate.Rollback}, {Verb: osupdate.Rollback, Target: "booted"},
		{Verb: osupdate.Cancel},
	}
	all = append(all, osupdate.Request{Verb: osupdate.Switch, Target: elsewhere(kind)})
	if kind == osupdate.RPMOSTree || kind == osupdate.OSTree {
		all = append(all, osupdate.Request{Verb: osupdate.Rollback, Target: "2"}, osupdate.Request{Verb: osupdate.Pin, Target: "booted"},
			osupdate.Request{Verb: osupdate.Unpin, Target: "booted"}, osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}, osupdate.Request{Verb: osupdate.Kargs, Delete: []string{"a=1"}})
	}
	if kind == osupdate.RPMOSTree {
		all = append(all, osupdate.Request{Verb: osupdate.Install, Packages: []string{"hello"}})
	}
	return all
}

// elsewhere is another source that a host of that kind may follow.
func elsewhere(kind osupdate.Kind) string {
	if kind == osupdate.RPMOSTree || kind == osupdate.OSTree {
		return "lab:debian/forky/x86_64/lab"
	}
	return "quay.io/lab/other:1"
}

// tryVerb carries out a verb and checks its result against the model.
func (m *machine) tryVerb(r osupdate.Request) {
	m.t.Helper()
	kept := m.kept()
	offered := &osupdate.Checked{}
	if r.Verb == osupdate.Upgrade && !r.DownloadOnly {
		var err error
		if offered, err = m.open().Check(m.t.Context()); err != nil {
			m.errorf("check: %v", err)
			return
		}
	}
	was := m.fake.Next().ID()
	res, err := m.do(r)
	if r.Verb == osupdate.Upgrade && !r.DownloadOnly {
		if wrong := contradicts(offered, err); wrong != "" {
			m.errorf("%s", wrong)
		}
	}
	if err != nil {
		if !known(err) {
			m.errorf("%v, hints %q", err, fail.Hints(err))
		}
		if nowhere := followed(m.t, m.open(), err); nowhere != "" {
			m.errorf("%v, and no hint leads on: %s", err, nowhere)
		}
		return
	}
	next := m.fake.Next()
	if res.After == nil || res.After.ID != next.ID() {
		m.errorf("%s boots next, and the result says %+v", next.ID(), res.After)
	}
	if r.Verb == osupdate.Rollback || r.Verb == osupdate.Cancel || r.Verb == osupdate.Pin {
		for _, id := range kept {
			if !slices.ContainsFunc(m.fake.Deployments, func(d fakehost.Deployment) bool { return d.ID() == id }) {
				m.errorf("%s is lost", id)
			}
		}
	}
	if r.Verb == osupdate.Upgrade && !r.DownloadOnly {
		switch u := offered.Update; {
		case u != nil && u.Checksum != fakehost.Commit(next.Version) && u.Checksum != fakehost.Digest(next.Version):
			m.errorf("check offered %s, and the upgrade took %s", u.Checksum, next.Version)
		case u == nil && offered.Staged == "" && res.Unchanged == "":
			m.errorf("check offered nothing, and the upgrade took %s", next.Version)
		}
	}
	if r.Verb == osupdate.Switch {
		waits := &m.fake.Deployments[0] // the staged one, locked or not
		follows := waits.Follows
		if m.kind == osupdate.OSTree { // its upgrade follows what runs, until the reboot
			follows = m.fake.Running().Follows
		}
		if tracked := m.status().State.Tracked; !strings.HasSuffix(waits.Follows, r.Target) || !strings.HasSuffix(follows, tracked) {
			m.errorf("%s waits and follows %s; status says that the host follows %s", waits.ID(), waits.Follows, tracked)
		}
	}
	if r.DownloadOnly && next.ID() != was {
		m.errorf("a download changed what boots next from %s to %s", was, next.ID())
	}
	if r.Target == "2" {
		return // an index means another system now
	}
	again, err := m.do(r)
	switch {
	case err != nil && !known(err):
		m.errorf("the second time: %v", err)
	case err == nil && again.Unchanged == "":
		m.errorf("the second time it changed something: %+v", again.After)
	}
}

// kept are the systems that ran, or will run, and that nobody may lose by a way back.
func (m *machine) kept() []string {
	var out []string
	for _, d := range m.fake.Deployments {
		if !d.Staged {
			out = append(out, d.ID())
		}
	}
	return out
}

// tried says whether a situation meets the verb of that number: every third one, from
// another one on in each situation; all of them where TBX_WALK is all.
func tried(situation string, verb int) bool {
	sum := verb
	for _, c := range []byte(situation) {
		sum += int(c)
	}
	return os.Getenv("TBX_WALK") == "all" || sum%3 == 0
}

// TestH30_Walk goes through the states of a host that a user, another program and
// the boot menu can reach, to the depth of three changes, and in each of them asks
// that status, check, and the verbs agree with each other and with what then boots.
func TestH30_Walk(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		t.Run(string(kind), func(t *testing.T) {
			for name, prepare := range situations(kind) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					first := true
					for i, r := range requests(kind) {
						if !tried(name, i) {
							continue
						}
						m := newMachine(t, kind)
						prepare(m)
						if first {
							m.holds()
						}
						m.tryVerb(r)
						m.look(false)
						m.boot(0)
						if first {
							m.look(true)
						} else {
							m.agrees()
						}
						first = false
					}
				})
			}
		})
	}
}

// call runs a program as another user of the machine would.
func (m *machine) call(name string, args ...string) {
	m.t.Helper()
	m.steps = append(m.steps, name+" "+strings.Join(args, " "))
	tools := &osupdate.Tools{Dirs: []string{m.fake.Programs()}}
	_, stderr, err := tools.Run(m.t.Context(), osupdate.Call{Argv: append([]string{filepath.Join(m.fake.Programs(), name)}, args...)})
	if err != nil {
		m.t.Fatalf("after %q: %v\n%s", m.steps, err, stderr)
	}
	m.fake.Reload(m.t)
}
