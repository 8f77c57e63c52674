package machine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// TestArrives: where nobody interferes, a host gets over the bad release to the next one,
// with one restart for each and one back.
func TestArrives(t *testing.T) {
	w := &world{now: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), boot: 1, published: 1, running: 1, next: 1, permit: true}
	var r machine.Record
	for hour := range 24 * 20 {
		if hour == 30 || hour == 24*10 {
			w.published++
		}
		r = run(t, r, w, -1, -1)
		w.now = w.now.Add(time.Hour)
	}
	if w.running != 3 || w.asked[2] != 1 || w.asked[3] != 1 || w.wentBackTo[1] != 1 || r.State != machine.Idle || number(r.Good) != 3 {
		t.Errorf("%+v\n%s", w, text(r))
	}
	if len(r.Denied) != 1 || number(r.Denied[0].Release) != 2 || !strings.Contains(r.Denied[0].Why, "not healthy") {
		t.Errorf("%+v", r.Denied)
	}
}

// TestDeadline: a condition gives way when the deadline has passed, and a firm one never.
func TestDeadline(t *testing.T) {
	for _, firm := range []bool{false, true} {
		w := &world{now: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), boot: 1, published: 2, running: 1, next: 1, block: true}
		r := run(t, machine.Record{}, w, -1, -1)
		if r.State != machine.Waiting || r.Blocked == nil || r.Blocked.Reasons[0] != "on battery" {
			t.Fatalf("%s", text(r))
		}
		w.now = w.now.Add(15 * 24 * time.Hour)
		f := w.facts()
		f.Firm = firm
		r.Checked = w.now
		if _, a := machine.Decide(r, f, policy); (a == machine.Stage) == firm {
			t.Errorf("firm %v: %q", firm, a)
		}
	}
}
