package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/fleet"
	"github.com/tbx-project/tbx/osupdate/auto/fleetlock/fleetlocktest"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// host is one whose updates are images, number by number.
type host struct {
	running, next, back, newest int
	exact                       bool // the updater takes a digest
	did                         []string
	boots                       int
	root                        string
}

const repository = "quay.example/os/base"

func digest(n int) string { return "sha256:" + strings.Repeat(fmt.Sprint(n), 64)[:64] }

func (h *host) deployment(n int) osupdate.Deployment {
	return osupdate.Deployment{ID: fmt.Sprint("os-", n), Checksum: fmt.Sprint("layered-", n), Version: fmt.Sprint(n), Booted: n == h.running,
		Staged: n == h.next && n > h.running, Image: &osupdate.Image{Reference: repository + ":stable", Digest: digest(n)}}
}

func (h *host) Status(context.Context) (*osupdate.Status, error) {
	s := &osupdate.State{Backend: osupdate.Bootc, Tracked: repository + ":stable"}
	for _, n := range []int{h.next, h.running, h.back} {
		d := h.deployment(n)
		if n != 0 && !slices.ContainsFunc(s.Deployments, func(o osupdate.Deployment) bool { return o.ID == d.ID }) {
			s.Deployments = append(s.Deployments, d)
		}
	}
	if h.next < h.running {
		s.Boot.By = osupdate.ByRollback
	}
	st := &osupdate.Status{State: s.Arrange()}
	if h.exact {
		st.Capabilities.Has = []osupdate.Capability{osupdate.CanVersion}
	}
	return st, nil
}

func (h *host) Check(context.Context) (*osupdate.Checked, error) {
	if h.newest <= h.next {
		return &osupdate.Checked{}, nil
	}
	return &osupdate.Checked{Update: &osupdate.Update{Version: fmt.Sprint(h.newest), Checksum: digest(h.newest)}}, nil
}

func (h *host) Do(_ context.Context, r osupdate.Request, _ bool) (*osupdate.Result, error) {
	h.did = append(h.did, strings.Join(append([]string{string(r.Verb)}, r.Words()...), " "))
	switch r.Verb {
	case osupdate.Upgrade:
		h.next = h.newest
		for n := range 10 {
			if r.Target == digest(n) {
				h.next = n
			}
		}
	case osupdate.Rollback:
		h.next = h.back
	case osupdate.Cancel:
		h.next = h.running
	case osupdate.Reboot:
		h.boots++
		h.back, h.running = h.running, h.next
		write(h.root+"/proc/sys/kernel/random/boot_id", fmt.Sprintf("boot-%d\n", h.boots), 0o644)
	}
	d := h.deployment(h.next)
	return &osupdate.Result{After: &d}, nil
}

func write(path, text string, mode os.FileMode) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
		panic(err)
	}
}

// nobody is a bus without sessions.
type nobody struct{}

func (nobody) Metered(context.Context) (bool, error)            { return false, errors.New("nobody") }
func (nobody) Sessions(context.Context) ([]auto.Session, error) { return nil, nil }

// place is a host of a fleet with its servers.
type place struct {
	t     *testing.T
	h     *host
	r     *auto.Runner
	slots *fleetlocktest.Memory
	graph string
	now   time.Time
}

func newPlace(t *testing.T, group string) *place {
	t.Helper()
	p := &place{t: t, h: &host{running: 1, next: 1, newest: 1, exact: true, root: t.TempDir()}, slots: &fleetlocktest.Memory{},
		now: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.URL.Path != "/v1/graph" || q.Get("node_uuid") == "" || q.Get("oci") != "true" || q.Get("group") != group ||
			q.Get("os_checksum") != repository+"@"+digest(p.h.running) {
			t.Errorf("%s", r.URL)
		}
		fmt.Fprint(w, p.graph)
	}))
	lock := httptest.NewServer(&fleetlocktest.Server{Groups: map[string]int{"web": 1}, Slots: p.slots})
	t.Cleanup(web.Close)
	t.Cleanup(lock.Close)
	root := p.h.root
	write(root+"/bin/systemctl", "#!/bin/sh\ncase $1 in\nis-system-running) echo running ;;\nlist-units) cat "+root+"/failed ;;\nesac\n", 0o755)
	write(root+"/failed", "", 0o644)
	write(root+"/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n", 0o644)
	write(root+"/proc/sys/kernel/random/boot_id", "boot-0\n", 0o644)
	write(root+"/etc/tbx/host.toml", fmt.Sprintf("[auto]\nreboot = \"fleet-lock\"\nfree_megabytes = 0\n[fleet]\ngraph = %q\nlock = %q\ngroup = %q\n",
		web.URL, lock.URL, group), 0o644)
	s, _, err := auto.Load(auto.SettingsFiles(root))
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Open(s.Fleet, root)
	if err != nil {
		t.Fatal(err)
	}
	p.r = &auto.Runner{Host: p.h, Settings: s, Dir: root + "/state", LockPath: root + "/lock", Root: root, Fleet: f, Bus: nobody{},
		Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}}, Now: func() time.Time { return p.now }, Say: func(auto.Event) {}}
	return p
}

// offers has the graph lead from 1 to those.
func (p *place) offers(image string, to ...int) {
	nodes, edges := fmt.Sprintf(`{"version":"1","payload":"%s@%s"}`, image, digest(1)), ""
	for i, n := range to {
		nodes += fmt.Sprintf(`,{"version":"%d","payload":"%s@%s"}`, n, image, digest(n))
		edges += fmt.Sprintf("%s[0,%d]", map[bool]string{true: ","}[i > 0], i+1)
	}
	p.graph = fmt.Sprintf(`{"nodes":[%s],"edges":[%s]}`, nodes, edges)
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

// explain is what a person is told.
func (p *place) explain(m auto.Memory) string {
	v := &auto.View{Enabled: true, Timer: "enabled", Record: m.Record, Permit: machine.Permit{Allowed: true, Why: "now that nobody uses it"}}
	return strings.Join(v.Explain(&p.r.Settings, p.now), "\n")
}

// TestLife: another host has the slot, then this one restarts into what the graph offers, and gives
// it back; a bad one keeps it.
func TestLife(t *testing.T) {
	p := newPlace(t, "web")
	p.offers(repository, 2)
	p.h.newest = 5 // the tag is ahead of the graph
	if err := p.slots.Hold(t.Context(), "web", "other", 1); err != nil {
		t.Fatal(err)
	}
	m := p.run(machine.Staged, 0)
	if got := p.explain(m); p.h.next != 2 || !strings.Contains(got, "waits for a slot of the fleet's lock") || !strings.Contains(got, "all 1 semaphore slots") {
		t.Fatalf("%d, %q, %s", p.h.next, p.h.did, got)
	}
	p.run(machine.Staged, 1)
	if err := p.slots.Leave(t.Context(), "web", "other"); err != nil {
		t.Fatal(err)
	}
	p.run(machine.Rebooting, 1)
	if held := p.slots.Holders("web"); p.h.running != 2 || len(held) != 1 || len(held[0]) != 32 || held[0] == "3d1219c7c4c5404aaa1f6d2a48adfda4" {
		t.Fatalf("%d, %q", p.h.running, held)
	}
	p.graph = `{"nodes":[{"version":"2","payload":"` + repository + "@" + digest(2) + `"},{"version":"3","payload":"` + repository + "@" + digest(3) + `"}],"edges":[[0,1]]}`
	m = p.run(machine.Idle, 0.1)
	if m.Good.Version != "2" || m.Slot != nil || len(p.slots.Holders("web")) != 0 {
		t.Fatalf("%+v", m.Record)
	}
	// The next one is bad.
	p.run(machine.Rebooting, 7)
	write(p.h.root+"/failed", "sshd.service loaded failed failed OpenSSH\n", 0o644)
	p.run(machine.Proving, 0.1)
	p.run(machine.RollingBack, 0.2) // and it is restarted at once
	write(p.h.root+"/failed", "", 0o644)
	p.run(machine.Idle, 0.1)
	m = p.run(machine.Idle, 24)
	if got := p.explain(m); p.h.running != 2 || len(p.slots.Holders("web")) != 1 || !strings.Contains(got, "keeps its slot") || !strings.Contains(got, "3 was not healthy here") {
		t.Fatalf("%d, %q, %s", p.h.running, p.slots.Holders("web"), got)
	}
	if err := auto.Resume(p.r.Dir, p.now); err != nil {
		t.Fatal(err)
	}
	p.run(machine.Idle, 0.1)
	if n := len(p.slots.Holders("web")); n != 0 {
		t.Errorf("%d slots are held", n)
	}
}

// TestNewestOnly: an updater that takes no digest upgrades only where its newest is the fleet's choice.
func TestNewestOnly(t *testing.T) {
	p := newPlace(t, "web")
	p.h.exact = false
	p.offers(repository, 2)
	p.h.newest = 3
	if _, err := p.r.Run(t.Context()); !errors.Is(err, osupdate.ErrNotFound) || !strings.Contains(err.Error(), "the fleet takes 2") || len(p.h.did) != 0 {
		t.Fatalf("%v, %q", err, p.h.did)
	}
	p.h.newest = 2
	p.run(machine.Rebooting, 25)
	if p.h.running != 2 {
		t.Errorf("%q", p.h.did)
	}
}

// TestF69_Servers that are mistaken, and settings that cannot be: said with what to do, and the host stays.
func TestF69_Servers(t *testing.T) {
	for name, c := range map[string]struct {
		group, graph, says string
		kind               error
	}{
		"another image":   {"web", "", "switch quay.example/other:TAG", osupdate.ErrNotFound},
		"no graph":        {"web", "<html>sign in", "is not believed", osupdate.ErrBadOutput},
		"unknown group":   {"mail", "", "see the group mail", fail.Unable},
		"not in it":       {"web", `{"nodes":[],"edges":[]}`, "does not know the release that runs", nil},
		"a page of error": {"web", `{"kind":"x"}`, "neither nodes nor releases", osupdate.ErrBadOutput},
	} {
		p := newPlace(t, c.group)
		p.offers(map[bool]string{true: "quay.example/other", false: repository}[name == "another image"], 2)
		if c.graph != "" {
			p.graph = c.graph
		}
		m, err := p.r.Run(t.Context())
		said := fmt.Sprint(err, fail.Hints(err), m.Notes)
		if !errors.Is(err, c.kind) && c.kind != nil || (err == nil) != (c.kind == nil) || !strings.Contains(said, c.says) || p.h.running != 1 {
			t.Errorf("%s: %s, %q", name, said, p.h.did)
		}
	}
	dir := t.TempDir()
	if _, err := fleet.Open(auto.FleetSettings{Lock: "http://l"}, dir); !errors.Is(err, fail.Unable) || !strings.Contains(fmt.Sprint(fail.Hints(err)), "systemd-machine-id-setup") {
		t.Errorf("%v", err)
	}
	write(dir+"/etc/machine-id", "uninitialized\n", 0o444)
	if _, err := fleet.Open(auto.FleetSettings{Lock: "http://l"}, dir); !errors.Is(err, fail.Unable) {
		t.Errorf("%v", err)
	}
}

// TestID: the one that systemd-id128 makes of the same machine and application.
func TestID(t *testing.T) {
	dir := t.TempDir()
	write(dir+"/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n", 0o444)
	f := &fleet.Fleet{Root: dir}
	if err := f.Connect(); err != nil || f.ID != "b27e67057639493096a50a0e4454e575" {
		t.Errorf("%s, %v", f.ID, err)
	}
}

// TestF64_LeavesTheFleet: a host that takes no further part frees its slot, also one that it keeps after a failure; one
// that cannot be asked for stays written down.
func TestF64_LeavesTheFleet(t *testing.T) {
	p := newPlace(t, "web")
	var m auto.Memory
	m.Slot = &machine.Slot{Since: p.now, Held: true, Kept: "2 was not healthy here"}
	if err := errors.Join(p.r.Fleet.Lock(t.Context()), auto.Keep(p.r.Dir, m)); err != nil {
		t.Fatal(err)
	}
	deaf, err := fleet.Open(auto.FleetSettings{Lock: "http://127.0.0.1:1", Group: "web"}, p.h.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := auto.GiveBack(t.Context(), p.r.Dir, deaf); !errors.Is(err, osupdate.ErrNetwork) {
		t.Errorf("%v", err)
	}
	if m, err = auto.Recall(p.r.Dir); err != nil || m.Slot == nil {
		t.Fatalf("%+v, %v", m.Slot, err)
	}
	for range 2 {
		if err := auto.GiveBack(t.Context(), p.r.Dir, p.r.Fleet); err != nil {
			t.Fatal(err)
		}
	}
	if m, err = auto.Recall(p.r.Dir); err != nil || m.Slot != nil || len(p.slots.Holders("web")) != 0 {
		t.Errorf("%+v, %v", m.Slot, err)
	}
}
