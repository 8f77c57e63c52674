package machine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// world is a fake host: releases 1, 2 and 3 come out one after the other, the second is
// not healthy. A person may do anything to it between two runs.
type world struct {
	now                        time.Time
	boot, published            int
	running, next, back        int
	chosen, permit, block      bool
	race                       bool
	byPerson                   bool // what boots next was chosen by a person
	undone                     int  // what a person went back from, or withdrew
	asked                      [4]int
	wentBackTo                 [4]int
	shutdownFails, refusesBoot bool
	fleet                      bool      // a lock, and a graph that chooses
	others, down, held         bool      // others hold every slot; the server does not answer; it has this host as a holder
	pulled                     int       // what the graph has no more
	pulledAt                   time.Time //
	offered                    [4]bool   // by the graph
	failed                     bool      // the bad release ran, and nobody has looked since
}

func rel(n int) machine.Release {
	if n == 0 {
		return machine.Release{}
	}
	return machine.Release{Content: fmt.Sprintf("release-%d", n), Version: fmt.Sprint(n), Time: time.Unix(int64(n)*1000, 0)}
}

func number(r machine.Release) int {
	n := 0
	fmt.Sscanf(r.Content, "release-%d", &n)
	return n
}

func (w *world) facts() machine.Facts {
	f := machine.Facts{Now: w.now, Boot: fmt.Sprint(w.boot), Running: rel(w.running), Next: rel(w.next), Back: w.back != 0, Chosen: w.chosen,
		Permit: machine.Permit{Allowed: w.permit}}
	if w.block {
		f.Blocks = []string{"on battery"}
	}
	return f
}

// restartNow boots what boots next, unless the staged system cannot be written.
func (w *world) restartNow() {
	w.boot++
	if w.next != w.running && w.shutdownFails && !w.chosen {
		w.next = w.running
	}
	if w.next != w.running {
		w.back, w.running = w.running, w.next
	}
	w.chosen, w.byPerson = false, false
}

// do carries an action out.
func (w *world) do(t *testing.T, a machine.Action) machine.Outcome {
	o := machine.Outcome{Now: w.now}
	if slices.Contains([]machine.Action{machine.Stage, machine.Withdraw, machine.GoBack}, a) && w.byPerson && w.chosen {
		t.Errorf("%s: a person chose what boots next", a)
	}
	switch a {
	case machine.Lock, machine.Unlock:
		w.slot(t, a, &o)
	case machine.Check:
		o.Exact = w.fleet
		if w.published > w.running && !(w.fleet && w.published == w.pulled) {
			o.Found = rel(w.published)
			w.offered[w.published] = true
		}
	case machine.Stage:
		w.next, w.chosen, w.byPerson = w.published, false, false
		if w.race && w.published > w.running+1 {
			w.next-- // the source was changed after the check
		}
		o.Found = rel(w.next)
	case machine.Withdraw:
		w.next, w.chosen = w.running, false
	case machine.Prove:
		o.Healthy = machine.Healthy
		if w.running == 2 {
			o.Healthy = machine.Unhealthy
			w.failed = w.failed || w.held
		} else {
			w.failed = false
		}
	case machine.GoBack:
		w.next, w.chosen, w.byPerson = w.back, true, false
	case machine.Restarting:
		if !w.permit {
			t.Error("restarted outside of the policy")
		}
		if w.fleet && !w.held {
			t.Error("restarted without a slot")
		}
		if w.fleet && w.next > w.running && !w.byPerson && !w.offered[w.next] {
			t.Errorf("restarted into release %d, which the graph never offered", w.next)
		}
		if w.fleet && w.next == w.pulled && !w.byPerson && w.next > w.running && w.now.Sub(w.pulledAt) >= 5*time.Minute {
			t.Errorf("restarted into release %d, which the graph has no more", w.next)
		}
		if w.next < w.running {
			w.wentBackTo[w.next]++
		} else if w.asked[w.next]++; w.asked[w.next] > 1 {
			t.Errorf("release %d: restarted into %d times", w.next, w.asked[w.next])
		}
		if w.refusesBoot {
			w.asked[w.next]--
			o.Err = &machine.Trouble{Kind: "inhibited", Text: "inhibited"}
			return o
		}
		w.restartNow()
	}
	return o
}

// person is what somebody does by hand. Each is a new word to the machine, after which
// one more restart is none too many.
func (w *world) person(what string) {
	switch what {
	case "restarts":
		w.asked = [4]int{}
		w.restartNow()
	case "upgrades":
		w.asked = [4]int{}
		if w.published > w.running {
			w.next, w.chosen, w.byPerson = w.published, false, true
			w.offered[w.next] = true
			if w.undone == w.next {
				w.undone = 0
			}
		}
	case "goes back":
		if w.back != 0 && w.back < w.running {
			w.undone = w.running
			w.next, w.chosen, w.byPerson = w.back, true, true
		}
	case "withdraws":
		if w.next != w.running && !w.chosen {
			w.undone = w.next
			w.next, w.byPerson = w.running, false
		}
	}
}

var policy = machine.Policy{Enabled: true, CheckEvery: 6 * time.Hour, Deadline: 14 * 24 * time.Hour, SecurityDeadline: 7 * 24 * time.Hour}

// run is one start of the timer's service. It is ended after the write number crash, and
// the action number fault fails; -1 is never. A fault beyond 10 is an answer that is lost.
func run(t *testing.T, r machine.Record, w *world, crash, fault int) machine.Record {
	t.Helper()
	policy := policy
	policy.Fleet, policy.Lock = w.fleet, w.fleet
	writes, boot := 0, w.boot
	for n := 0; ; n++ {
		if n > 10 {
			t.Fatalf("no end: %s", text(r))
		}
		next, a := machine.Decide(r, w.facts(), policy)
		step(t, r, next)
		r = next
		if writes++; writes == crash || a == machine.Nothing {
			return r
		}
		if a == machine.Stage && w.undone != 0 && w.published == w.undone {
			t.Errorf("release %d is fetched, which a person went back from: %s", w.published, text(r))
		}
		if a == machine.Restarting && slices.ContainsFunc(r.Denied, func(d machine.Denied) bool { return number(d.Release) == w.next }) {
			t.Errorf("restarted into release %d, which is denied: %s", w.next, text(r))
		}
		o := machine.Outcome{Now: w.now, Err: &machine.Trouble{Kind: "network", Text: "no network"}}
		switch slot := a == machine.Lock || a == machine.Unlock; {
		case slot && n == fault-10:
			w.do(t, a)
		case n != fault:
			o = w.do(t, a)
		}
		if slot := r.Slot; a == machine.Unlock && !slices.Contains([]machine.State{machine.Idle, machine.Waiting, machine.Staged}, r.State) {
			t.Errorf("the slot is given back in %s: %+v", r.State, slot)
		}
		if w.boot != boot { // the machine restarted: this program ended with it
			return r
		}
		if writes++; writes == crash {
			return r
		}
		next = machine.After(r, a, o)
		step(t, r, next)
		r = next
		if writes++; writes == crash {
			return r
		}
	}
}

// step asserts where a transition comes from.
func step(t *testing.T, from, to machine.Record) {
	t.Helper()
	if strings.Contains(strings.Join(to.Reasons, ";"), "there is no way") {
		t.Fatalf("%s: %s", text(from), text(to))
	}
	hour := 0
	for _, b := range to.Restarts {
		if to.Since.Sub(b.At) < time.Hour {
			hour++
		}
	}
	if hour > 3 {
		t.Errorf("%d restarts in an hour: %s", hour, text(to))
	}
}

func text(r machine.Record) string {
	data, _ := json.Marshal(r)
	return string(data)
}

// key is what makes two moments the same for the machine: times count by what they are
// compared with only.
func key(r machine.Record, w *world) string {
	var b strings.Builder
	when := func(at time.Time) { // in steps of what the walk moves the clock by
		d := w.now.Sub(at)
		switch {
		case at.IsZero():
			b.WriteString("- ")
		case d < 0:
			fmt.Fprintf(&b, "+%d ", min(int(-d/time.Hour), 25))
		default:
			fmt.Fprintf(&b, "%v%v%v%v ", d < time.Hour, d < 6*time.Hour, d < 7*24*time.Hour, d < 14*24*time.Hour)
		}
	}
	fmt.Fprintf(&b, "%s %d %d %d %d %d ", r.State, number(r.Running), number(r.Next), number(r.Target), number(r.From), r.Unhealthy)
	for _, d := range r.Denied {
		fmt.Fprintf(&b, "d%d ", number(d.Release))
	}
	for _, x := range r.Restarts {
		fmt.Fprintf(&b, "r%d%v", number(x.Release), x.Arrived)
		when(x.At)
	}
	for _, at := range []time.Time{r.FirstSeen, r.Checked, r.NextLook, r.Since} {
		when(at)
	}
	if r.Trouble != nil {
		fmt.Fprintf(&b, "t%s%d", r.Trouble.Kind, min(r.Trouble.Count, 2))
		when(r.Trouble.Next)
	}
	if x := r.Slot; x != nil {
		fmt.Fprintf(&b, "s%v%v%v%v%v%d", x.Held, x.No, x.Kept != "", x.Unused, w.now.Sub(x.Asked) < 2*time.Minute, min(x.Tries, 2))
		when(x.Next)
	}
	fmt.Fprintf(&b, "|%v %v %v %v", r.Exact, r.Blocked != nil, r.Boot == fmt.Sprint(w.boot), r.Security)
	c := *w
	c.now, c.boot, c.pulledAt = time.Time{}, 0, time.Time{}
	fmt.Fprintf(&b, "|%+v", c)
	return b.String()
}

// move is one thing that can happen.
type move struct {
	name string
	do   func(*testing.T, machine.Record, *world) machine.Record
}

func moves() []move {
	runs := func(crash, fault int) func(*testing.T, machine.Record, *world) machine.Record {
		return func(t *testing.T, r machine.Record, w *world) machine.Record { return run(t, r, w, crash, fault) }
	}
	out := []move{{"run", runs(-1, -1)}}
	for n := range 4 {
		out = append(out, move{fmt.Sprintf("action %d fails", n), runs(-1, n)}, move{fmt.Sprintf("the answer to %d is lost", n), runs(-1, n+10)})
	}
	for n := 1; n < 8; n++ {
		out = append(out, move{fmt.Sprintf("killed after write %d", n), runs(n, -1)})
	}
	change := func(name string, do func(*world)) {
		out = append(out, move{name, func(_ *testing.T, r machine.Record, w *world) machine.Record { do(w); return r }})
	}
	for _, what := range []string{"restarts", "upgrades", "goes back", "withdraws"} {
		out = append(out, move{"a person " + what, func(_ *testing.T, r machine.Record, w *world) machine.Record {
			w.person(what)
			// What no run has seen staged or running, or seen withdrawn before the next boot, none can know of.
			if what == "withdraws" && !r.Next.Is(rel(w.undone)) || what == "restarts" && r.Next.Is(rel(w.undone)) ||
				what == "goes back" && !r.Running.Is(rel(w.undone)) {
				w.undone = 0
			}
			return r
		}})
	}
	change("a release", func(w *world) { w.published = min(3, w.published+1) })
	change("a release is taken back", func(w *world) { w.published = max(1, w.published-1) })
	change("a source that wavers", func(w *world) { w.race = !w.race })
	change("an hour", func(w *world) { w.now = w.now.Add(time.Hour) })
	change("eight days", func(w *world) { w.now = w.now.Add(8 * 24 * time.Hour) })
	change("the clock goes back", func(w *world) { w.now = w.now.Add(-2 * time.Hour) })
	change("permit", func(w *world) { w.permit = !w.permit })
	change("battery", func(w *world) { w.block = !w.block })
	change("/boot is full", func(w *world) { w.shutdownFails = !w.shutdownFails })
	change("an inhibitor", func(w *world) { w.refusesBoot = !w.refusesBoot })
	change("others take every slot", func(w *world) { w.others = !w.others })
	change("the lock does not answer", func(w *world) { w.down = !w.down })
	change("the graph loses the newest", func(w *world) { w.pulled, w.pulledAt = w.published, w.now })
	change("the graph is whole", func(w *world) { w.pulled = 0 })
	return append(out, move{"a person resumes", func(_ *testing.T, r machine.Record, w *world) machine.Record {
		w.asked, w.failed = [4]int{}, false
		r.Resume(w.now)
		return r
	}})
}

type place struct {
	r   machine.Record
	w   world
	way []string
}

func start() place {
	return place{w: world{now: time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), boot: 1, published: 1, running: 1, next: 1, permit: true}}
}

// after is where a move leads to.
func (p place) after(t *testing.T, m move) place {
	t.Helper()
	w := p.w
	next := place{r: m.do(t, p.r, &w), w: w, way: append(slices.Clone(p.way), m.name)}
	if t.Failed() {
		t.Fatalf("the way: %s", strings.Join(next.way, ", "))
	}
	return next
}

// TestWalk goes through every situation that a few moves lead to, then far along random
// ways, and holds the machine to what doc.go promises. It meets every state.
func TestWalk(t *testing.T) {
	t.Run("one machine", func(t *testing.T) { walk(t, start()) })
	t.Run("one of a fleet", func(t *testing.T) {
		p := start()
		p.w.fleet = true
		walk(t, p)
	})
}

func walk(t *testing.T, first place) {
	const near, ways, long = 15000, 300, 150
	seen, queue, states := map[string]bool{}, []place{first}, map[machine.State]bool{}
	for len(queue) > 0 && len(seen) < near {
		p := queue[0]
		queue = queue[1:]
		for _, m := range moves() {
			next := p.after(t, m)
			states[next.r.State] = true
			if k := key(next.r, &next.w); !seen[k] {
				seen[k] = true
				queue = append(queue, next)
			}
		}
	}
	random := rand.New(rand.NewPCG(17, 3))
	all := moves()
	for range ways {
		p := first
		for range long {
			p = p.after(t, all[random.IntN(len(all))])
			states[p.r.State] = true
			seen[key(p.r, &p.w)] = true
		}
	}
	t.Logf("%d situations", len(seen))
	for _, s := range machine.States() {
		if !states[s] {
			t.Errorf("the walk never met %s", s)
		}
	}
}
