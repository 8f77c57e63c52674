package osupdatetest

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/osupdate"
)

// Fixture is a host for the suite: an update is to be had, and one older system
// is there to go back to.
type Fixture struct {
	Config   osupdate.Config
	Snapshot func() string // everything that decides what boots, as text
	Reboot   func()        // the next system becomes the running one; nil where that cannot be
	NoBack   bool          // the updater has no rollback verb
	Reader   string        // the program that the state is read with
	Prose    bool          // ... and its answer is no JSON: half of it may look whole
	Mutator  string        // the program that upgrades
	Upgrades string        // its arguments then, as a pattern of sh
}

// NewConfig is a Config for a fake or a private host below dir, with the tools in
// toolDirs, as root.
func NewConfig(root, dir string, toolDirs ...string) osupdate.Config {
	return osupdate.Config{
		Root: root, StateDir: filepath.Join(dir, "state"), LockPath: filepath.Join(dir, "lock", "host.lock"), Superuser: true,
		Tools: &osupdate.Tools{Dirs: append(toolDirs, osupdate.SystemDirs()...), Idle: time.Minute, Patient: 200 * time.Millisecond},
	}
}

// Run is the suite. newFixture makes a fresh host for each part.
func Run(t *testing.T, newFixture func(t *testing.T) *Fixture) {
	for name, part := range map[string]func(*testing.T, *Fixture, *osupdate.Host){
		"Capabilities": capabilities, "Reading": reading, "Upgrade": upgrade, "Lock": lockPart, "BadRequest": badRequest,
		"BrokenReader": brokenReader, "BrokenMutator": brokenMutator, "Together": together,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			h, err := osupdate.Open(f.Config)
			if err != nil {
				t.Fatal(err)
			}
			part(t, f, h)
		})
	}
}

// capabilities: every verb is offered or refused with a reason, and what is
// refused is ErrUnsupported with that reason as the hint.
func capabilities(t *testing.T, f *Fixture, h *osupdate.Host) {
	caps := h.Backend().Capabilities()
	s, err := h.Backend().State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range osupdate.Verbs() {
		if osupdate.Own(verb) {
			continue
		}
		c := osupdate.Capability(verb)
		why, lacks := caps.Lacks[c]
		if caps.Can(c) == lacks {
			t.Errorf("verb %s: has %t and lacks %t; exactly one must hold", verb, caps.Can(c), lacks)
		}
		if !lacks {
			continue
		}
		if why == "" {
			t.Errorf("verb %s is refused without a reason", verb)
		}
		_, err := h.Backend().Plan(t.Context(), s, osupdate.Request{Verb: verb, Target: "0", Packages: []string{"x"}, Append: []string{"x"}})
		if !errors.Is(err, osupdate.ErrUnsupported) || !slices.Contains(fail.Hints(err), why) {
			t.Errorf("verb %s: got %v with hints %q", verb, err, fail.Hints(err))
		}
	}
}

// reading: nothing that only reads changes what boots, and two readings agree.
func reading(t *testing.T, f *Fixture, h *osupdate.Host) {
	before := f.Snapshot()
	a, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("two readings differ:\n%+v\n%+v", a, b)
	}
	checkState(t, a.State)
	if caps := h.Backend().Capabilities(); caps.Can(osupdate.CanCheck) {
		u, err := h.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if u.Update == nil {
			t.Error("the update was not seen")
		}
	}
	res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, true)
	if err != nil {
		t.Fatal(err)
	}
	checkPlan(t, res.Plan)
	for _, row := range osupdate.Table() {
		if row.Reads || row.Verb == osupdate.BuildVerb {
			continue
		}
		r := osupdate.Request{Verb: row.Verb}
		for i := range row.Args {
			if a := &row.Args[i]; a.Required != "" {
				a.Set(&r, sample(a))
			}
		}
		if r.Verb == osupdate.Kargs {
			r.Append = []string{"a=1"}
		}
		if _, err := h.Do(t.Context(), r, true); err != nil && osupdate.ProblemOf(err) == nil && !errors.Is(err, fail.Usage) {
			t.Errorf("dry run of %s: %v", r.Verb, err)
		}
	}
	_, _ = h.Diff(t.Context(), "", "") // where it can
	_, _ = h.EtcDiff(t.Context())
	_, _ = h.Doctor(t.Context(), nil)
	if entries, err := h.History(); err != nil || len(entries) != 0 {
		t.Errorf("reading left a history: %v, %v", entries, err)
	}
	if after := f.Snapshot(); after != before {
		t.Errorf("reading changed the host:\n%s\nwas\n%s", after, before)
	}
}

// sample is a value that an argument may have.
func sample(a *osupdate.Argument) string {
	switch {
	case len(a.Choices) > 0:
		return a.Choices[0]
	case a.Place == "REF|IMAGE":
		return "quay.io/example/other:1"
	case a.Place == "SYSTEM":
		return "0"
	}
	return "x"
}

// upgrade and rollback: both change what boots next, both are idempotent, and
// neither changes what the host follows.
func upgrade(t *testing.T, f *Fixture, h *osupdate.Host) {
	first := status(t, h)
	res := do(t, h, osupdate.Request{Verb: osupdate.Upgrade})
	if res.Unchanged != "" || res.After.Same(res.Before) {
		t.Fatalf("the upgrade changed nothing: %+v", res)
	}
	s := status(t, h)
	checkState(t, s)
	if s.Tracked != first.Tracked {
		t.Errorf("the host follows %q instead of %q", s.Tracked, first.Tracked)
	}
	if first.Booted() != nil && s.Reboot == "" {
		t.Error("no reboot is asked for")
	}
	if res = do(t, h, osupdate.Request{Verb: osupdate.Upgrade}); res.Unchanged == "" {
		t.Errorf("the second upgrade changed something: %+v", res.After)
	}
	if f.Reboot != nil {
		f.Reboot()
	}
	if !f.NoBack {
		if res = do(t, h, osupdate.Request{Verb: osupdate.Rollback}); res.Unchanged != "" {
			t.Fatalf("the rollback changed nothing: %s", res.Unchanged)
		}
		if !res.After.Same(first.Next()) {
			t.Errorf("%s boots next, not %s", res.After.Name(), first.Next().Name())
		}
		back := status(t, h)
		if back.Tracked != first.Tracked {
			t.Errorf("the rollback made the host follow %q instead of %q", back.Tracked, first.Tracked)
		}
		if res = do(t, h, osupdate.Request{Verb: osupdate.Rollback}); res.Unchanged == "" {
			t.Errorf("the second rollback toggled: %s boots next", res.After.Name())
		}
	}
	entries, err := h.History()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 2 || entries[0].Phase != "begin" || entries[1].Outcome != "done" {
		t.Errorf("history: %+v", entries)
	}
	for i, e := range entries {
		if e.Phase == "begin" && (i+1 == len(entries) || entries[i+1].Op != e.Op || entries[i+1].Phase != "end") {
			t.Errorf("operation %s has no end", e.Op)
		}
	}
}

// lockPart: one mutator at a time, with a name for the other.
func lockPart(t *testing.T, f *Fixture, h *osupdate.Host) {
	l, err := flock.Try(f.Config.LockPath)
	if err != nil {
		t.Fatal(err)
	}
	before := f.Snapshot()
	_, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
	if !errors.Is(err, osupdate.ErrBusy) {
		t.Errorf("a second tbx: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if f.Snapshot() != before {
		t.Error("the second tbx changed the host")
	}
}

// badRequest: no argument can become an option, a path or a command.
func badRequest(t *testing.T, f *Fixture, h *osupdate.Host) {
	for _, evil := range []string{"--force", "-r", "/etc/shadow", "../x", "a b", "a\nb", "$(id)", "`id`", "a;b", "", strings.Repeat("x", 2000), "\x1b[2J"} {
		for _, r := range []osupdate.Request{
			{Verb: osupdate.Switch, Target: evil}, {Verb: osupdate.Install, Packages: []string{evil}}, {Verb: osupdate.Kargs, Append: []string{evil}},
			{Verb: osupdate.Pin, Target: evil}, {Verb: osupdate.Cleanup, Parts: []string{evil}}, {Verb: osupdate.Verb(evil)},
		} {
			if r.Verb == osupdate.Kargs && slices.Contains([]string{"a;b", ""}, evil) && evil != "" {
				continue // a legal kernel argument: no shell ever sees it
			}
			if _, err := h.Do(t.Context(), r, true); !errors.Is(err, fail.Usage) {
				t.Errorf("%s with %q: %v", r.Verb, evil, err)
			}
		}
	}
}

func status(t *testing.T, h *osupdate.Host) *osupdate.State {
	t.Helper()
	s, err := h.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s.State
}

func do(t *testing.T, h *osupdate.Host, r osupdate.Request) *osupdate.Result {
	t.Helper()
	res, err := h.Do(t.Context(), r, false)
	if err != nil {
		var te *osupdate.ToolError
		if errors.As(err, &te) {
			t.Logf("%q said:\n%s", te.Argv, te.Text())
		}
		t.Fatalf("%s: %v", r.Verb, err)
	}
	return res
}

func checkState(t *testing.T, s *osupdate.State) {
	t.Helper()
	if err := s.Sound(); err != nil {
		t.Error(err)
	}
	checkOrder(t, s)
	if len(s.Deployments) == 0 || s.Tracked == "" {
		t.Errorf("no deployment, or nothing followed: %+v", s)
	}
}

func checkOrder(t *testing.T, s *osupdate.State) {
	t.Helper()
	for i, d := range s.Deployments {
		if !s.OwnIndex && d.Index != i || d.Next && (d.Locked || d.Incomplete != "") {
			t.Errorf("deployment %d is out of order, or cannot boot: %+v", i, d)
		}
	}
}

func checkPlan(t *testing.T, p *osupdate.Plan) {
	t.Helper()
	if len(p.Steps) == 0 || len(p.Effects) == 0 || p.StateHash == "" {
		t.Errorf("an empty plan: %+v", p)
	}
	for _, s := range p.Steps {
		if !filepath.IsAbs(s.Argv[0]) || s.Effect == "" {
			t.Errorf("step without an absolute program or an effect: %+v", s)
		}
	}
}
