package auto_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// host is a host with two places, whose updates are numbers.
type host struct {
	running, next, back, newest int
	fails                       error // of the next change
	did                         []string
	layered                     []string
	after                       func(osupdate.Request) // what happens when a change was carried out
}

func (h *host) deployment(n int) osupdate.Deployment {
	at := time.Unix(int64(n)*1000, 0)
	return osupdate.Deployment{ID: fmt.Sprint("os-", n), Checksum: fmt.Sprint("sum-", n), Version: fmt.Sprint(n), Time: &at, Booted: n == h.running,
		Staged: n == h.next && n > h.running, Tracks: "os:stable", Changes: &osupdate.Changes{Layered: h.layered}}
}

func (h *host) Status(context.Context) (*osupdate.Status, error) {
	s := &osupdate.State{Backend: osupdate.OSTree}
	for _, n := range []int{h.next, h.running, h.back} {
		d := h.deployment(n)
		if n != 0 && !slices.ContainsFunc(s.Deployments, func(o osupdate.Deployment) bool { return o.ID == d.ID }) {
			s.Deployments = append(s.Deployments, d)
		}
	}
	if h.next < h.running {
		s.Boot.By = osupdate.ByRollback
	}
	return &osupdate.Status{State: s.Arrange()}, nil
}

func (h *host) Check(context.Context) (*osupdate.Checked, error) {
	if h.newest <= h.next {
		return &osupdate.Checked{}, nil
	}
	return &osupdate.Checked{Update: &osupdate.Update{Version: fmt.Sprint(h.newest), Checksum: fmt.Sprint("sum-", h.newest)}}, nil
}

func (h *host) Do(_ context.Context, r osupdate.Request, _ bool) (*osupdate.Result, error) {
	h.did = append(h.did, strings.Join(append([]string{string(r.Verb)}, r.Words()...), " "))
	if err := h.fails; err != nil {
		h.fails = nil
		return nil, err
	}
	switch r.Verb {
	case osupdate.Upgrade:
		h.next = h.newest
	case osupdate.Rollback:
		h.next = h.back
	case osupdate.Cancel:
		h.next = h.running
	}
	if h.after != nil {
		h.after(r)
	}
	d := h.deployment(h.next)
	return &osupdate.Result{After: &d}, nil
}

// quiet is a bus on which nobody answers but logind, with one idle session.
type quiet struct{}

func (quiet) Metered(context.Context) (bool, error)            { return false, errors.New("nobody") }
func (quiet) Sessions(context.Context) ([]auto.Session, error) { return nil, nil }

// place is a machine below a directory.
type place struct {
	t      *testing.T
	root   string
	h      *host
	r      *auto.Runner
	now    time.Time
	boots  int
	called string // a file that the fake systemctl writes its arguments into
}

func (p *place) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	path := filepath.Join(p.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, root: t.TempDir(), h: &host{running: 1, next: 1, newest: 1}, now: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)}
	p.called = filepath.Join(p.root, "called")
	p.write("bin/systemctl", `#!/bin/sh
case $1 in
is-system-running) cat "`+p.root+`/system" ;;
list-units) cat "`+p.root+`/failed" ;;
*) echo "$@" >> "`+p.called+`" ;;
esac
`, 0o755)
	p.write("system", "running\n", 0o644)
	p.write("failed", "", 0o644)
	p.reboot()
	s := auto.Default()
	s.FreeMegabytes = 0
	p.r = &auto.Runner{Host: p.h, Settings: s, Dir: filepath.Join(p.root, "state"), LockPath: filepath.Join(p.root, "lock"), Root: p.root,
		Tools: &osupdate.Tools{Dirs: []string{filepath.Join(p.root, "bin")}}, Bus: quiet{}, Now: func() time.Time { return p.now }, Say: func(auto.Event) {}}
	return p
}

// reboot is a restart into what boots next.
func (p *place) reboot() {
	p.boots++
	p.write("proc/sys/kernel/random/boot_id", fmt.Sprintf("boot-%d\n", p.boots), 0o644)
	if p.h.next != p.h.running {
		p.h.back, p.h.running = p.h.running, p.h.next
	}
}

func (p *place) run(state machine.State, hours float64) auto.Memory {
	p.t.Helper()
	p.now = p.now.Add(time.Duration(hours * float64(time.Hour)))
	m, err := p.r.Run(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if m.State != state {
		p.t.Fatalf("%s, not %s: %+v, %q", m.State, state, m.Record, p.h.did)
	}
	return m
}

// TestLife: a good release, a bad one and its way back, the next one; restarted by a person.
func TestLife(t *testing.T) {
	p := newPlace(t)
	p.run(machine.Idle, 0)
	p.h.newest = 2
	p.run(machine.Idle, 1) // not due
	p.run(machine.Staged, 6)
	p.run(machine.Staged, 1)
	p.reboot()
	if m := p.run(machine.Idle, 1); m.Good.Version != "2" {
		t.Fatalf("%+v", m.Record)
	}
	p.h.newest = 3
	p.run(machine.Staged, 7)
	p.reboot()
	p.write("failed", "sshd.service loaded failed failed OpenSSH\n", 0o644)
	m := p.run(machine.Proving, 0.1)
	if len(m.Reasons) != 1 || m.Reasons[0] != "sshd.service fails, and did not before the update" {
		t.Fatalf("%q", m.Reasons)
	}
	m = p.run(machine.RollingBack, 0.2)
	if last := p.h.did[len(p.h.did)-1]; !strings.HasPrefix(last, "rollback ") || p.h.next != 2 {
		t.Fatalf("%q, %d boots next", last, p.h.next)
	}
	n := len(p.h.did)
	p.run(machine.RollingBack, 1)
	if len(p.h.did) != n {
		t.Fatalf("done twice: %q", p.h.did)
	}
	p.write("failed", "", 0o644)
	p.reboot()
	p.run(machine.Idle, 1)
	p.run(machine.Idle, 24) // what is denied is offered, and not taken
	p.h.newest = 4
	p.run(machine.Staged, 24)
	if m.Denied[0].Release.Version != "3" || slices.Contains(p.h.did, "reboot") {
		t.Errorf("%+v, %q", m.Denied, p.h.did)
	}
}

// TestRestarts: with the policy "immediate" the machine is restarted, once.
func TestRestarts(t *testing.T) {
	p := newPlace(t)
	p.r.Settings.Reboot = auto.Immediate
	p.h.newest = 2
	p.h.after = func(r osupdate.Request) {
		if r.Verb == osupdate.Reboot {
			p.h.next = 1 // the shutdown could not write it
			p.reboot()
		}
	}
	p.run(machine.Rebooting, 0)
	for range 5 {
		p.now = p.now.Add(7 * time.Hour)
		if _, err := p.r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(strings.Join(p.h.did, " "), "reboot"); n != 1 {
		t.Errorf("restarted %d times: %q", n, p.h.did)
	}
}

// TestBackOff: an error is tried again later and later, and said.
func TestBackOff(t *testing.T) {
	p := newPlace(t)
	p.h.newest = 2
	for i, wait := range []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute} {
		p.h.fails = fail.New(osupdate.ErrNetwork, "the source does not answer")
		m, err := p.r.Run(t.Context())
		if !errors.Is(err, osupdate.ErrNetwork) || m.State != machine.Waiting || m.Trouble.Count != i+1 || m.Trouble.Next != p.now.Add(wait) {
			t.Fatalf("%d: %v, %+v", i, err, m.Trouble)
		}
		p.h.fails = nil
		p.run(machine.Waiting, 0)
		p.now = m.Trouble.Next
	}
	if m := p.run(machine.Staged, 0); m.Trouble != nil {
		t.Errorf("%+v", m.Trouble)
	}
}

// TestLooksOnly where another program updates the host.
func TestLooksOnly(t *testing.T) {
	p := newPlace(t)
	p.h.newest = 2
	p.write("usr/lib/systemd/system/uupd.timer", "", 0o644)
	p.write("etc/systemd/system/timers.target.wants/uupd.timer", "", 0o644)
	p.run(machine.Idle, 0)
	if len(p.h.did) != 0 {
		t.Errorf("%q", p.h.did)
	}
	w := &auto.Switch{Root: p.root, Dir: p.r.Dir, Tools: p.r.Tools, Program: "/usr/bin/true"}
	p.write("usr/lib/systemd/system/"+auto.Timer, "", 0o644)
	if err := w.On(t.Context(), "", false); !errors.Is(err, osupdate.ErrManaged) || len(fail.Hints(err)) == 0 {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(p.root, "etc/tbx/host.toml.d/50-auto.toml")); err == nil {
		t.Error("settings of a switch that was refused")
	}
	if err := w.On(t.Context(), auto.Idle, true); err != nil {
		t.Fatal(err)
	}
	s, values, err := auto.Load(auto.SettingsFiles(p.root))
	if err != nil || !s.Enabled || s.Reboot != auto.Idle {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, v := range values {
		if from := filepath.Base(v.Origin); (v.Key == "reboot") != (from == "50-auto.toml" && v.Key != "enabled") {
			t.Errorf("%s is from %s", v.Key, v.Origin)
		}
	}
	if err := w.Off(t.Context()); err != nil {
		t.Fatal(err)
	}
	called, err := os.ReadFile(p.called)
	if want := "mask --now uupd.timer\nenable --now tbx-host-auto.timer\ndisable --now tbx-host-auto.timer\nunmask uupd.timer\nstart uupd.timer\n"; err != nil || string(called) != want {
		t.Errorf("%q, %v", called, err)
	}
}

// TestMemoryThatCannotBe is not forgotten in silence.
func TestMemoryThatCannotBe(t *testing.T) {
	for text, kind := range map[string]error{
		`{"format":1,"state":`: osupdate.ErrCorrupt, "": osupdate.ErrCorrupt, `{"format":99}`: fail.Unable, strings.Repeat(" ", 2<<20): osupdate.ErrCorrupt,
	} {
		p := newPlace(t)
		p.h.newest = 2
		p.write("state/auto.json", text, 0o644)
		if _, err := p.r.Run(t.Context()); !errors.Is(err, kind) || len(fail.Hints(err)) == 0 || len(p.h.did) != 0 {
			t.Errorf("%.20q: %v, %q", text, err, p.h.did)
		}
	}
	p := newPlace(t) // nothing is done that cannot be written down
	p.h.newest = 2
	p.write("state", "a file", 0o644)
	if _, err := p.r.Run(t.Context()); err == nil || len(p.h.did) != 0 {
		t.Errorf("%v, %q", err, p.h.did)
	}
}

func TestChecks(t *testing.T) {
	p := newPlace(t)
	s := auto.Default()
	s.CheckSeconds = 3
	prove := func() auto.Verdict {
		pr := &auto.Prover{Root: p.root, Tools: p.r.Tools, Settings: &s, Source: func(context.Context) error { return errors.New("no route") }}
		return pr.Prove(t.Context())
	}
	if v := prove(); v.Health != machine.Healthy || len(v.Remarks) != 1 {
		t.Errorf("%+v", v)
	}
	s.RequireSource = true
	if v := prove(); v.Health != machine.Unhealthy {
		t.Errorf("%+v", v)
	}
	s.RequireSource = false
	p.write("etc/tbx/host/check.d/10-good", "#!/bin/sh\nexit 0\n", 0o755)
	p.write("etc/tbx/host/check.d/20-note", "no program", 0o644)
	p.write("etc/greenboot/check/wanted.d/30-bad", "#!/bin/sh\nexit 1\n", 0o755)
	if v := prove(); v.Health != machine.Healthy || len(v.Remarks) != 2 {
		t.Errorf("%+v", v)
	}
	for text, want := range map[string]string{
		"#!/bin/sh\necho no disk; exit 3\n":                               "exit status 3: no disk",
		"#!/bin/sh\nsleep 60 & sleep 60\n":                                "it had not ended after 3 seconds",
		"#!/bin/sh\nhead -c 3000000 /dev/zero; exit 4\n":                  "exit status 4",
		"#!/bin/sh\nexec 2>&1; trap '' TERM INT HUP; while :; do :; done": "it had not ended after 3 seconds",
	} {
		p.write("etc/tbx/host/check.d/40-bad", text, 0o755)
		start := time.Now()
		if v := prove(); v.Health != machine.Unhealthy || len(v.Reasons) != 1 || !strings.Contains(v.Reasons[0], want) || time.Since(start) > 30*time.Second {
			t.Errorf("%q: %+v", text, v)
		}
	}
	p.write("system", "starting\n", 0o644)
	if v := prove(); v.Health != machine.Pending {
		t.Errorf("%+v", v)
	}
}

func TestConditions(t *testing.T) {
	p := newPlace(t)
	s := auto.Default()
	s.FreeMegabytes = 0
	look := func() (string, bool) {
		b, firm := auto.Conditions(t.Context(), p.root, &s, quiet{})
		return strings.Join(b, "; "), firm
	}
	if b, _ := look(); b != "" {
		t.Errorf("nothing is there, and %q", b)
	}
	supply := func(name string, values map[string]string) {
		for k, v := range values {
			p.write("sys/class/power_supply/"+name+"/"+k, v+"\n", 0o644)
		}
	}
	supply("mouse", map[string]string{"type": "Battery", "scope": "Device", "capacity": "3", "status": "Discharging"})
	supply("BAT0", map[string]string{"type": "Battery", "capacity": "25", "status": "Discharging", "present": "1"})
	if b, firm := look(); !strings.Contains(b, "battery, at 25 percent") || firm {
		t.Errorf("%q, %v", b, firm)
	}
	supply("BAT0", map[string]string{"capacity": "9"})
	if _, firm := look(); !firm {
		t.Error("9 percent are not firm")
	}
	supply("AC", map[string]string{"type": "Mains", "online": "1"})
	if b, _ := look(); b != "" {
		t.Errorf("%q", b)
	}
	p.write("proc/pressure/io", "some avg10=90.00 avg60=55.25 avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n", 0o644)
	if b, firm := look(); !strings.Contains(b, "disks are busy") || firm {
		t.Errorf("%q", b)
	}
	s.FreeMegabytes = 1 << 20
	if b, _ := look(); !strings.Contains(b, "MB free") {
		t.Errorf("%q", b)
	}
}

func TestSettings(t *testing.T) {
	p := newPlace(t)
	p.write("etc/tbx/host.toml", "[auto]\nreboot = \"window\"\n[[auto.window]]\ndays = [\"Sat\"]\nstart = \"03:00\"\nminutes = 60\n", 0o644)
	p.write("usr/lib/tbx/host.toml.d/20-fleet.toml", "[auto]\ncheck_hours = 1\n", 0o644)
	p.write("etc/tbx/host.toml.d/30-own.toml", "[[auto.window]]\nstart = \"04:00\"\nminutes = 5\n", 0o644)
	s, _, err := auto.Load(auto.SettingsFiles(p.root))
	if err != nil || s.CheckHours != 1 || len(s.Windows) != 1 || s.Windows[0].Start != "04:00" || len(s.Windows[0].Days) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(p.root, "etc/tbx/host.toml.d/20-fleet.toml")); err != nil {
		t.Fatal(err)
	}
	if s, _, err := auto.Load(auto.SettingsFiles(p.root)); err != nil || s.CheckHours != auto.Default().CheckHours {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"[auto]\nrebot = \"never\"\n": "did you mean auto.reboot?", "[auto]\nreboot = \"sometimes\"\n": "none of never", "[auto]\ncheck_hours = 0\n": "between",
		"[auto]\nreboot = 3\n": "line", "[auto]\ntime_zone = \"Mars/Base\"\n": "no zone", "[[auto.window]]\nstart = \"3\"\nminutes = 5\n": "time of day",
	} {
		p.write("etc/tbx/host.toml.d/40-wrong.toml", text, 0o644)
		_, _, err := auto.Load(auto.SettingsFiles(p.root))
		if all := fmt.Sprint(err, fail.Hints(err)); !errors.Is(err, fail.Usage) || !strings.Contains(all, "40-wrong.toml") || want != "line" && !strings.Contains(all, want) {
			t.Errorf("%q: %s", text, all)
		}
	}
}

func TestParseUntil(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2026-12-24": time.Date(2026, 12, 24, 0, 0, 0, 0, time.Local), "2026-12-24 18:30": time.Date(2026, 12, 24, 18, 30, 0, 0, time.Local),
		"3d": now.AddDate(0, 0, 3), "90m": now.Add(90 * time.Minute),
	} {
		if at, err := auto.ParseUntil(text, now); err != nil || !at.Equal(want) {
			t.Errorf("%q: %v, %v", text, at, err)
		}
	}
	for _, text := range []string{"", "tomorrow", "2026-11-30", "-3d", "0h", "2026-13-01"} {
		if _, err := auto.ParseUntil(text, now); !errors.Is(err, fail.Usage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestExplain: in every state there is a sentence that names what comes next.
func TestExplain(t *testing.T) {
	now := time.Date(2026, 12, 20, 12, 0, 0, 0, time.UTC)
	s := auto.Default()
	for _, state := range machine.States() {
		v := &auto.View{Enabled: true, Timer: "enabled", Permit: machine.Permit{Why: "by a person"}, Record: machine.Record{State: state,
			Since: now.AddDate(0, 0, -12), Target: machine.Release{Version: "43"}, From: machine.Release{Version: "42"}, Reasons: []string{"a reason"},
			Checked: now, FirstSeen: now, Blocked: &machine.Blocked{Reasons: []string{"on battery"}, Since: now}}}
		text := strings.Join(v.Explain(&s, now), "\n")
		want := map[machine.State]string{machine.Idle: "next look", machine.Waiting: "on battery", machine.Staging: "in spite of that", machine.Staged: "waits since 12 days",
			machine.Withdrawing: "withdrawn", machine.Rebooting: "by a person", machine.Proving: "proven itself", machine.RollingBack: "42 boots next",
			machine.Stopped: "tbx host auto resume"}[state]
		if want == "" || !strings.Contains(text, want) {
			t.Errorf("%s: %s", state, text)
		}
	}
}
