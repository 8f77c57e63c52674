//go:build system && systemroot

package ostree_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate/auto"
)

// automatic has the steps taken that are due now, conditions and times aside, and wants
// the machine of states there.
func (m *machine) automatic(state string) auto.Memory {
	m.t.Helper()
	m.tbx(0, "auto", "now")
	data, err := m.inside("cat", "/var/lib/tbx/host/auto.json").Output()
	var mem auto.Memory
	if err == nil {
		err = json.Unmarshal(data, &mem)
	}
	if err != nil || string(mem.State) != state {
		m.t.Fatalf("%s, want %s: %v\n%s", mem.State, state, err, data)
	}
	return mem
}

// TestBootAuto is the whole life of a host that is kept current by itself: a good release,
// a bad one that is gone back from and not taken again, and the next good one; power cuts
// at each moment, and a person who interferes.
func TestBootAuto(t *testing.T) {
	m := newMachine(t)
	m.boot()
	m.automatic("staged")
	m.runs("42.1", "42.2")
	m.says(0, "auto status", "nothing starts them", "tbx host auto on")
	m.off() // what is staged is lost, and fetched again
	m.boot()
	m.automatic("staged")
	m.restart()
	if mem := m.automatic("idle"); mem.Good.Version != "42.2" || mem.Target.Known() {
		t.Fatalf("%+v", mem.Record)
	}

	// A bad one: what says so is in the release itself.
	m.mkdir("tree/usr/etc/tbx/host/check.d")
	m.write("tree/usr/etc/tbx/host/check.d/10-bad", "#!/bin/sh\necho the disk is on fire\nexit 1\n")
	m.run("chmod", "755", m.dir+"/tree/usr/etc/tbx/host/check.d/10-bad")
	m.publish(stable, "42.3")
	m.automatic("staged")
	m.restart()
	if mem := m.automatic("proving"); len(mem.Reasons) != 1 || !strings.Contains(mem.Reasons[0], "the disk is on fire") {
		t.Fatalf("%+v", mem.Record)
	}
	m.off() // in the middle
	m.boot()
	m.later()
	m.automatic("rolling-back")
	m.runs("42.3", "42.2")
	m.off() // a rollback is no staged system: it stays
	m.boot()
	m.automatic("idle")
	m.runs("42.2", "42.2")
	m.says(0, "auto status --format json", "the disk is on fire", `"version": "42.3"`)
	m.says(0, "check", "Update 42.3") // it is offered as before
	m.automatic("idle")
	m.runs("42.2", "42.2")

	// The next one mends it.
	m.run("rm", m.dir+"/tree/usr/etc/tbx/host/check.d/10-bad")
	m.publish(stable, "42.4")
	m.automatic("staged")
	m.restart()
	if mem := m.automatic("idle"); mem.Good.Version != "42.4" {
		t.Fatalf("%+v", mem.Record)
	}

	// A person withdraws one, and goes back from another: neither comes again by itself.
	m.publish(stable, "42.5")
	m.automatic("staged")
	m.tbx(0, "cancel")
	m.automatic("idle")
	m.runs("42.4", "42.4")
	m.publish(stable, "42.6")
	m.automatic("staged")
	m.restart()
	m.automatic("idle")
	m.tbx(0, "rollback")
	m.automatic("idle")
	m.runs("42.6", "42.4")
	m.restart()
	if mem := m.automatic("idle"); len(mem.Denied) != 3 {
		t.Errorf("%+v", mem.Denied)
	}
	m.runs("42.4", "42.4")
	m.says(0, "auto pause 3d", "Nothing new is begun until")
	m.says(2, "auto pause yesterday", "neither a date nor a duration")
	m.says(0, "auto resume")
}

// later brings the next look at a new system forward, as if its grace had passed.
func (m *machine) later() {
	m.t.Helper()
	if out, err := m.inside("sed", "-i", "/next_look/d", "/var/lib/tbx/host/auto.json").CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}
