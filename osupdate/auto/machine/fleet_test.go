package machine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// slot is what the fleet's server does.
func (w *world) slot(t *testing.T, a machine.Action, o *machine.Outcome) {
	t.Helper()
	switch {
	case w.down:
		o.Err = &machine.Trouble{Kind: "network", Text: "no answer"}
	case a == machine.Unlock:
		if w.failed {
			t.Error("the slot is given back after the bad release, and others take it")
		}
		w.held = false
	case w.others && !w.held:
		o.Err, o.Refused = &machine.Trouble{Kind: "refused", Text: "all slots are held"}, true
	default:
		w.held = true
	}
}

// member is a host of a fleet that waits for a slot with release n staged.
func member(t *testing.T, n int) (*world, machine.Record) {
	t.Helper()
	p := start()
	w := &p.w
	w.fleet, w.published, w.others = true, n, true
	r := run(t, p.r, w, -1, -1)
	if r.State != machine.Staged || r.Slot == nil || r.Slot.Held || !r.Slot.No || w.running != 1 {
		t.Fatalf("%s", text(r))
	}
	return w, r
}

func ticks(t *testing.T, w *world, r machine.Record, n int) machine.Record {
	t.Helper()
	for range n {
		w.now = w.now.Add(10 * time.Minute)
		r = run(t, r, w, -1, -1)
	}
	return r
}

// TestFleet: a host waits for its slot, restarts with it, and gives it back when it is good.
func TestFleet(t *testing.T) {
	w, r := member(t, 3)
	if r = ticks(t, w, r, 5); w.running != 1 || r.Slot.Tries < 5 || r.Slot.Since.After(w.now.Add(-50*time.Minute)) {
		t.Fatalf("%s", text(r))
	}
	w.others = false
	r = ticks(t, w, r, 1)
	if w.running != 3 || !w.held {
		t.Fatalf("%d, held %v: %s", w.running, w.held, text(r))
	}
	w.down = true
	r = ticks(t, w, r, 3)
	if number(r.Good) != 3 || r.Slot == nil || !w.held || r.Slot.Why != "no answer" {
		t.Fatalf("%s", text(r))
	}
	checked := r.Checked
	w.published = 3
	w.now = w.now.Add(7 * time.Hour)
	if r = ticks(t, w, r, 1); !r.Checked.Equal(checked) {
		t.Errorf("it looks for updates before the slot is given back: %s", text(r))
	}
	w.down = false
	if r = ticks(t, w, r, 7); r.Slot != nil || w.held || r.Checked.Equal(checked) {
		t.Errorf("%s", text(r))
	}
}

// TestF65_BadReleaseStopsTheFleet: a bad release keeps its slot, until the next good one has proven itself or a person
// lets the fleet go on.
func TestF65_BadReleaseStopsTheFleet(t *testing.T) {
	for _, person := range []bool{false, true} {
		w, r := member(t, 2)
		w.others = false
		r = ticks(t, w, r, 12)
		if w.running != 1 || !w.held || !strings.Contains(r.Slot.Kept, "not healthy") || r.State != machine.Idle {
			t.Fatalf("%d, held %v: %s", w.running, w.held, text(r))
		}
		r = ticks(t, w, r, 200)
		if !w.held {
			t.Fatalf("%s", text(r))
		}
		if person {
			r.Resume(w.now)
			w.failed = false
		} else {
			w.published = 3
		}
		r = ticks(t, w, r, 100)
		if w.held || r.Slot != nil || w.running == 2 || !person && w.running != 3 {
			t.Errorf("a person: %v, %d: %s", person, w.running, text(r))
		}
	}
}

// TestF66_TakenBack: what the graph loses while a host waits is withdrawn, and comes again when the
// graph has it again.
func TestF66_TakenBack(t *testing.T) {
	w, r := member(t, 3)
	w.pulled, w.pulledAt, w.others = 3, w.now, false
	if r = ticks(t, w, r, 1); w.running != 1 { // it looks again before it restarts
		t.Fatalf("%s", text(r))
	}
	w.others = true
	r = ticks(t, w, r, 40)
	if w.next != 1 || r.State != machine.Idle || len(r.Denied) != 0 || r.Slot != nil {
		t.Fatalf("%d boots next: %s", w.next, text(r))
	}
	w.pulled, w.others = 0, false
	if r = ticks(t, w, r, 45); w.running != 3 {
		t.Errorf("%s", text(r))
	}
}

// TestF67_Exact: what the updater fetched in the place of the fleet's choice never boots.
func TestF67_Exact(t *testing.T) {
	for _, crash := range []int{-1, 4} { // 4: killed when it is staged and nothing is written down
		p := start()
		w := &p.w
		w.fleet, w.published, w.race = true, 3, true
		r := run(t, p.r, w, -1, -1)
		if crash > 0 {
			w = &world{now: w.now, boot: 1, published: 3, running: 1, next: 1, permit: true, fleet: true, race: true}
			for n := 1; n < 9 && w.next == 1; n++ {
				r = run(t, p.r, w, n, -1)
			}
		}
		r = ticks(t, w, r, 3)
		if w.running != 1 || w.next != 1 || r.State != machine.Idle {
			t.Errorf("%d runs, %d boots next: %s", w.running, w.next, text(r))
		}
	}
}

// TestHandWins: what a person staged is not what the fleet takes, and stays.
func TestHandWins(t *testing.T) {
	p := start()
	w := &p.w
	w.fleet, w.permit = true, false
	r := run(t, p.r, w, -1, -1)
	w.published = 2
	w.person("upgrades")
	w.chosen = false // the updater does not tell
	r = run(t, r, w, -1, -1)
	w.published = 3
	w.now = w.now.Add(7 * time.Hour)
	if r = run(t, r, w, -1, -1); r.State != machine.Staged || w.next != 2 {
		t.Errorf("%d boots next: %s", w.next, text(r))
	}
}
