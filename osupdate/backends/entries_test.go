package backends_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// TestH1_OldEntryInTheMenu: the running system is not the default, by nobody's
// rollback; to go back is to stay with it.
func TestH1_OldEntryInTheMenu(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		m.boot(1) // 2 runs, 3 is the default
		s := m.status().State
		if s.Boot.State != osupdate.BootOther || s.Boot.By != osupdate.ByMenuOrFallback || s.Next().Version != "3" || s.Reboot != "" {
			t.Errorf("%s: %+v, reboot %q", kind, s.Boot, s.Reboot)
		}
		if c, err := m.open().Check(t.Context()); err != nil || c.Staged != "" {
			t.Errorf("%s: check: %+v, %v", kind, c, err)
		}
		if res := m.must(osupdate.Request{Verb: osupdate.Rollback}); res.After.Version != "2" || !res.After.Booted {
			t.Errorf("%s: %s boots next", kind, res.After.Version)
		}
		if len(m.fake.Deployments) != 2 {
			t.Errorf("%s: a system is lost", kind)
		}
	}
}

// TestH3_LockedByAnAgent: a system that is staged and locked does not boot next, and
// whoever changes kernel arguments is told where they land.
func TestH3_LockedByAnAgent(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	m.call("rpm-ostree", "upgrade", "--lock-finalization")
	s := m.status().State
	if s.Boot.State != osupdate.BootLocked || s.Next().Version != "2" || s.Downloaded() == nil || s.Reboot != "" || len(s.Warnings) == 0 {
		t.Errorf("%+v, warnings %q", s.Boot, s.Warnings)
	}
	c, err := m.open().Check(t.Context())
	if err != nil || c.Staged != "" || c.Downloaded != "3" || c.Update == nil {
		t.Errorf("check: %+v, %v", c, err)
	}
	res := m.must(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"x=1"}})
	if res.Reboot != "" || !strings.Contains(strings.Join(res.Warnings, " "), "locked") {
		t.Errorf("kargs: %+v", res)
	}
	if res = m.must(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "3" || res.After.Locked {
		t.Errorf("the upgrade does not unlock: %+v", res.After)
	}
}

// TestH4_BackToAnyKeptSystem: pinned ones too, and without losing another one.
func TestH4_BackToAnyKeptSystem(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Pin, Target: "1"})
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		m.boot(0) // 3 runs, 2 and the pinned 1
		m.other(func(h *fakehost.Host) { h.Newest[h.Running().Follows] = "4" })
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		m.boot(0) // 4 runs
		for i, d := range m.fake.Deployments {
			if d.Version == "1" && i != 2 && i != 1 {
				t.Fatalf("%s: unexpected order %+v", kind, m.fake.Deployments)
			}
		}
		at := slices.IndexFunc(m.fake.Deployments, func(d fakehost.Deployment) bool { return d.Version == "1" })
		before := len(m.fake.Deployments)
		if res := m.must(osupdate.Request{Verb: osupdate.Rollback, Target: m.fake.Deployments[at].ID()}); res.After.Version != "1" || len(m.fake.Deployments) != before {
			t.Errorf("%s: %+v, %d systems", kind, res.After, len(m.fake.Deployments))
		}
	}
}

// TestH5_NoAlarmForOthersWork: what tbx staged booted, or somebody replaced it.
func TestH5_NoAlarmForOthersWork(t *testing.T) {
	for name, week := range map[string]func(m *machine){
		"a pin on Monday, the distribution's timer on Tuesday": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Pin, Target: "booted"})
			m.call("rpm-ostree", "upgrade")
			m.boot(0)
		},
		"another program stages over it": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Upgrade})
			m.other(func(h *fakehost.Host) { h.Newest[ref] = "4" })
			m.call("rpm-ostree", "upgrade")
			m.boot(0)
		},
		"a cancel, then another upgrades": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Upgrade})
			m.must(osupdate.Request{Verb: osupdate.Cancel})
			m.call("rpm-ostree", "upgrade")
			m.boot(0)
		},
		"a rollback that booted, then another upgrades": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Rollback})
			m.boot(0)
			m.other(func(h *fakehost.Host) { h.Newest[ref] = "2" })
			m.call("rpm-ostree", "upgrade")
			m.boot(0)
		},
		"somebody chose the old one in the menu": func(m *machine) {
			m.must(osupdate.Request{Verb: osupdate.Upgrade})
			m.boot(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, osupdate.RPMOSTree)
			week(m)
			if st := m.status(); st.Unbooted != nil {
				t.Errorf("a false alarm: %+v", st.Unbooted)
			}
		})
	}
	m := newMachine(t, osupdate.RPMOSTree)
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	m.other(func(h *fakehost.Host) { h.Deployments, h.Boots = h.Deployments[1:], h.Boots+1 }) // a power cut
	if st := m.status(); st.Unbooted == nil || st.Unbooted.Intended != "3" {
		t.Errorf("no alarm for a staged system that a power cut lost: %+v", st.Unbooted)
	}
}

// TestH26_NothingThatRanIsDeleted: after a rollback `cleanup -p` would delete the
// system that was to boot.
func TestH26_NothingThatRanIsDeleted(t *testing.T) {
	for _, r := range []osupdate.Request{{Verb: osupdate.Cancel}, {Verb: osupdate.Rollback, Target: "booted"}} {
		m := newMachine(t, osupdate.RPMOSTree)
		m.must(osupdate.Request{Verb: osupdate.Rollback})
		if res := m.must(r); !res.After.Booted || len(m.fake.Deployments) != 2 {
			t.Errorf("%s: %+v, %d systems", r.Verb, res.After, len(m.fake.Deployments))
		}
	}
	m := newMachine(t, osupdate.RPMOSTree)
	m.must(osupdate.Request{Verb: osupdate.Rollback})
	for range 2 { // the second time an update is staged upon it
		if _, err := m.do(osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"pending"}}); !errors.Is(err, osupdate.ErrUnsafe) || len(fail.Hints(err)) == 0 {
			t.Errorf("cleanup --pending: %v", err)
		}
		m.call("rpm-ostree", "upgrade")
	}
}

// TestH28_EndedByTheUser: the daemon works on when its client ends.
func TestH28_EndedByTheUser(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	real := filepath.Join(m.fake.Programs(), "rpm-ostree")
	daemon := filepath.Join(t.TempDir(), "usr/bin/rpm-ostree")
	if err := os.MkdirAll(filepath.Dir(daemon), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// An upgrade leaves the daemon busy and waits; nothing ends it but a cancel.
	script := "#!/bin/sh\ncase \"$1\" in upgrade) sed -i 's/\"Busy\":\"\"/\"Busy\":\"Upgrade\"/' " + m.fake.Root() + "/model.json; echo begun; trap '' INT; sleep 60 & wait;;\n*) exec -a " + real + " " + self + " \"$@\";; esac\n"
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(real, []byte(strings.Replace(script, "/bin/sh", "/bin/bash", 1)), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			data, err := os.ReadFile(filepath.Join(m.fake.Root(), "model.json"))
			if err == nil && strings.Contains(string(data), `"Busy":"Upgrade"`) {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err = m.open().Do(ctx, osupdate.Request{Verb: osupdate.Upgrade}, false)
	if !errors.Is(err, fail.Canceled) {
		t.Errorf("%v", err)
	}
	m.fake.Reload(t)
	if m.fake.Busy != "" {
		t.Error("the daemon still works")
	}
}

// TestH19_StagedByTheOther: bootc refuses a system that rpm-ostree has staged with
// layers; rpm-ostree carries on.
func TestH19_StagedByTheOther(t *testing.T) {
	m := newImageHost(t)
	m.call("rpm-ostree", "install", "--assumeyes", "hello")
	st := m.status()
	if st.State.Backend != osupdate.RPMOSTree {
		t.Errorf("%s looks after it", st.State.Backend)
	}
	if res := m.must(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "3" || !slices.Contains(res.After.Changes.Layered, "hello") {
		t.Errorf("the layer is lost: %+v", res.After)
	}
}

// TestH33_DownloadOverAStagedUpdate: bootc would drop the update that waits.
func TestH33_DownloadOverAStagedUpdate(t *testing.T) {
	m := newMachine(t, osupdate.Bootc)
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	m.other(func(h *fakehost.Host) { h.Newest[image] = "4" })
	if _, err := m.do(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}); !errors.Is(err, osupdate.ErrUnsafe) || m.fake.Next().Version != "3" {
		t.Errorf("%v, %s boots next", err, m.fake.Next().Version)
	}
	if res := m.must(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "4" {
		t.Errorf("not the newest: %s", res.After.Version)
	}
}

// TestH63_SoftReboot: prepared, then done by systemd, and afterwards the boot's id is
// the same: what was done before it is no more what waits.
func TestH63_SoftReboot(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		soft := osupdate.Request{Verb: osupdate.Reboot, Soft: true}
		if _, err := m.do(soft); !errors.Is(err, osupdate.ErrUnsupported) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: nothing waits: %v", kind, err)
		}
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		m.must(soft)
		if s := m.status().State; s.Boot.State != osupdate.BootSoft || s.Next().Version != "3" || !slices.Equal(m.fake.Asked, []string{"soft-reboot --check-inhibitors=yes"}) {
			t.Errorf("%s: %+v, systemctl %q", kind, s.Boot, m.fake.Asked)
		}
		m.softBoot()
		m.holds()
		if s := m.status().State; s.Booted().Version != "3" || s.Reboot != "" || s.Boot.State != osupdate.BootRunning {
			t.Errorf("%s: %+v", kind, s)
		}
		for _, version := range []string{"2", "3", "2"} { // there and back, each time by a soft reboot
			if res := m.must(osupdate.Request{Verb: osupdate.Rollback}); res.Unchanged != "" || res.After.Version != version {
				t.Fatalf("%s: back to %s: %+v", kind, version, res)
			}
			if res := m.must(osupdate.Request{Verb: osupdate.Rollback}); res.Unchanged == "" {
				t.Errorf("%s: twice is not once", kind)
			}
			m.must(soft)
			m.softBoot()
			m.look(false)
		}
	}
	m := newMachine(t, composefs)
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	if _, err := m.do(osupdate.Request{Verb: osupdate.Reboot, Soft: true}); !errors.Is(err, osupdate.ErrUnsupported) || len(fail.Hints(err)) == 0 {
		t.Errorf("composefs: %v", err)
	}
}

// TestH64_AgentIsTold: what an agent has staged and locked is replaced or dropped, and
// the agent looks again; what leaves it its update does not disturb it.
func TestH64_AgentIsTold(t *testing.T) {
	for _, c := range []struct {
		r    osupdate.Request
		told bool
	}{
		{osupdate.Request{Verb: osupdate.Cancel}, true},
		{osupdate.Request{Verb: osupdate.Install, Packages: []string{"hello"}}, true},
		{osupdate.Request{Verb: osupdate.Rollback}, true},
		{osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"pending"}}, true},
		{osupdate.Request{Verb: osupdate.Cleanup}, false},
		{osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}, false},
		{osupdate.Request{Verb: osupdate.Pin, Target: "booted"}, false},
	} {
		m := newMachine(t, osupdate.RPMOSTree)
		m.other(func(h *fakehost.Host) { h.Agent = "zincati.service" })
		m.call("rpm-ostree", "upgrade", "--lock-finalization")
		m.must(c.r)
		if told := slices.Equal(m.fake.Asked, []string{"try-restart zincati.service"}); told != c.told {
			t.Errorf("%s %v: systemctl was asked %q", c.r.Verb, c.r.Words(), m.fake.Asked)
		}
	}
	for _, r := range []osupdate.Request{{Verb: osupdate.Upgrade}, {Verb: osupdate.Switch, Target: "lab:x"}} {
		m := newMachine(t, osupdate.RPMOSTree)
		m.other(func(h *fakehost.Host) { h.Agent = "zincati.service" })
		if _, err := m.do(r); !errors.Is(err, osupdate.ErrManaged) {
			t.Errorf("%s beside an agent that runs: %v", r.Verb, err)
		}
	}
}

// TestH70_CancelUponARollback drops the update that is staged upon it, and no system
// that ran.
func TestH70_CancelUponARollback(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Rollback})
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		if res := m.must(osupdate.Request{Verb: osupdate.Cancel}); !res.After.Booted || len(m.fake.Deployments) != 2 {
			t.Errorf("%s: %+v, %+v", kind, res.After, m.fake.Deployments)
		}
	}
}

// TestH75_NothingOlder: only what is staged is beside the running system; cancel is named.
func TestH75_NothingOlder(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		m := newMachine(t, kind)
		m.other(func(h *fakehost.Host) { h.Deployments = h.Deployments[:1] })
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		_, err := m.do(osupdate.Request{Verb: osupdate.Rollback})
		if !errors.Is(err, osupdate.ErrNoRollback) || !strings.Contains(strings.Join(fail.Hints(err), " "), "tbx host cancel") {
			t.Errorf("%s: %v, hints %q", kind, err, fail.Hints(err))
		}
		plan, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Cancel}, true)
		if err != nil || plan.Plan.NeedsBoot {
			t.Errorf("%s: a cancel needs no reboot: %+v, %v", kind, plan, err)
		}
	}
}
