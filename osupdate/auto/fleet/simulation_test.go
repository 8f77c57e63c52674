package fleet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/fleet"
	"github.com/tbx-project/tbx/osupdate/auto/fleetlock/fleetlocktest"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// The month of a fleet: a good release, a bad one that is taken back after three days, a
// good one, a barrier, and one beyond it.
const (
	days     = 30
	bad      = 3
	barrier  = 5
	newest   = 6
	restarts = 4 * time.Minute // how long one takes
)

// published is when each release comes; 3 is taken back when 4 comes.
var published = map[int]int{1: -30, 2: 2, bad: 8, 4: 11, barrier: 16, newest: 19} // days

// wave is a group of hosts with slots of its own, and its place in a roll-out of two days.
type wave struct {
	name     string
	part     float64 // of all hosts
	wariness float64
}

func waves() []wave { return []wave{{"canary", 0.05, 0}, {"early", 0.25, 0.3}, {"main", 0.7, 1}} }

// simulation is all of it, at one minute.
type simulation struct {
	t      *testing.T
	start  time.Time
	now    time.Time
	lock   *fleetlocktest.Server
	slots  *fleetlocktest.Memory
	hosts  []*member
	down   map[string]int // hosts that restart now, by group
	mostUp map[string]int // the most that did
	graphs int            // requests
	peak   int            // the most requests in a minute
	ranBad map[string]int
	file   []byte // the graph
}

// member is a host with a fake system below the real machine and the real clients.
type member struct {
	sim                 *simulation
	name, group         string
	f                   *fleet.Fleet
	r                   machine.Record
	running, next, back int
	boot                int
	skew                time.Duration // its clock is wrong
	backAt              time.Time     // from a restart
	offFrom, offTo      int           // days on which it is switched off
	dies, dead          bool          // while it holds a slot
	broken              bool          // no new release is healthy on it
}

// RoundTrip has the servers answer without a network.
func (s *simulation) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if req.URL.Host == "lock" {
		s.lock.ServeHTTP(w, req)
	} else {
		s.graphs++
		w.Header().Set("Content-Type", "application/json")
		w.Write(s.file)
	}
	return w.Result(), nil
}

// graph is the file that the fleet's owner puts on a web server.
func (s *simulation) graph() {
	type object map[string]any
	var list []object
	for n := 1; n <= newest; n++ {
		at := s.start.AddDate(0, 0, published[n])
		if s.now.Before(at) || n == bad && !s.now.Before(s.start.AddDate(0, 0, published[bad+1])) {
			continue
		}
		meta := object{"rollout": object{"start_epoch": at.Unix(), "start_percentage": 0, "duration_minutes": 2 * 24 * 60}}
		if n == barrier {
			meta["barrier"] = object{"reason": "new keys"}
		}
		list = append(list, object{"version": strconv.Itoa(n), "payload": "commit-" + strconv.Itoa(n), "metadata": meta})
	}
	data, err := json.Marshal(object{"stream": "stable", "releases": list})
	if err != nil {
		s.t.Fatal(err)
	}
	s.file = data
}

func system(n int) machine.Release {
	if n == 0 {
		return machine.Release{}
	}
	return machine.Release{Content: fmt.Sprint("commit-", n), Version: strconv.Itoa(n)}
}

func number(rel machine.Release) int {
	n, err := strconv.Atoi(rel.Version)
	if err != nil {
		return 0
	}
	return n
}

func newSimulation(t *testing.T, hosts int) *simulation {
	s := &simulation{t: t, start: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), slots: &fleetlocktest.Memory{}, down: map[string]int{},
		mostUp: map[string]int{}, ranBad: map[string]int{}}
	s.lock = &fleetlocktest.Server{Groups: map[string]int{}, Slots: s.slots}
	for _, w := range waves() {
		n := int(float64(hosts) * w.part)
		s.lock.Groups[w.name] = max(2, n/50)
		for i := range n {
			h := &member{sim: s, name: fmt.Sprintf("%s-%d", w.name, i), group: w.name, running: 1, next: 1, boot: 1}
			settings := auto.FleetSettings{Graph: "http://graph/stable.json", Dialect: "file", Stream: "stable", Lock: "http://lock", Group: w.name,
				Wariness: w.wariness}
			h.f = &fleet.Fleet{Settings: settings, Root: "/nowhere", ID: h.name, Transport: s, Now: h.clock}
			if err := h.f.Connect(); err != nil {
				t.Fatal(err)
			}
			switch {
			case i == 3:
				h.dies = true
			case i%100 == 7:
				h.broken = true
			case i%20 == 11: // over the barrier's release and the one after
				h.offFrom, h.offTo = 15, 24
			case i%50 == 13:
				h.skew = time.Duration(i%7-3) * time.Hour
			}
			s.hosts = append(s.hosts, h)
		}
	}
	return s
}

func (h *member) clock() time.Time { return h.sim.now.Add(h.skew) }

// off says whether the machine is switched off, or restarts.
func (h *member) off() bool {
	day := int(h.sim.now.Sub(h.sim.start).Hours() / 24)
	return h.dead || h.sim.now.Before(h.backAt) || h.offFrom <= day && day < h.offTo
}

// run is one start of the timer's service.
func (h *member) run() {
	policy := machine.Policy{Enabled: true, CheckEvery: 6 * time.Hour, Deadline: 14 * 24 * time.Hour, Fleet: true, Lock: true}
	for range 12 {
		f := machine.Facts{Now: h.clock(), Boot: strconv.Itoa(h.boot), Running: system(h.running), Next: system(h.next), Back: h.back != 0,
			Chosen: h.next < h.running, Permit: machine.Permit{Allowed: true}}
		var a machine.Action
		if h.r, a = machine.Decide(h.r, f, policy); a == machine.Nothing {
			return
		}
		o := h.act(a)
		o.Now = h.clock()
		if a == machine.Restarting {
			return
		}
		h.r = machine.After(h.r, a, o)
	}
	h.sim.t.Fatalf("%s: no end: %+v", h.name, h.r)
}

func (h *member) act(a machine.Action) machine.Outcome {
	var o machine.Outcome
	var err error
	switch a {
	case machine.Check:
		var c auto.Choice
		c, err = h.f.Choose(h.sim.t.Context(), h.r.Running, "", func(rel machine.Release) bool {
			for _, d := range h.r.Denied {
				if d.Release.Is(rel) {
					return true
				}
			}
			return false
		})
		o.Found, o.Exact, o.Notes = c.Release, true, c.Notes
	case machine.Stage:
		h.next = number(h.r.Target)
		o.Found = system(h.next)
	case machine.Withdraw:
		h.next = h.running
	case machine.GoBack:
		h.next = h.back
	case machine.Lock:
		err = h.f.Lock(h.sim.t.Context())
		o.Refused = err != nil
	case machine.Unlock:
		err = h.f.Unlock(h.sim.t.Context())
	case machine.Prove:
		o.Healthy = machine.Healthy
		if h.running == bad || h.broken && h.running > 1 {
			o.Healthy, o.Reasons = machine.Unhealthy, []string{"sshd.service fails"}
		}
	case machine.Restarting:
		h.restart()
	}
	if err != nil {
		o.Err = &machine.Trouble{Kind: "network", Text: err.Error()}
	}
	return o
}

func (h *member) restart() {
	s := h.sim
	if s.down[h.group]++; s.down[h.group] > s.lock.Groups[h.group] {
		s.t.Errorf("%s: %d of the group restart at once, with %d slots", h.name, s.down[h.group], s.lock.Groups[h.group])
	}
	s.mostUp[h.group] = max(s.mostUp[h.group], s.down[h.group])
	if h.running < barrier && h.next > barrier {
		s.t.Errorf("%s: passes the barrier, from %d to %d", h.name, h.running, h.next)
	}
	if h.next == bad {
		s.ranBad[h.group]++
	}
	h.boot++
	h.back, h.running = h.running, h.next
	h.backAt = s.now.Add(restarts)
	h.dead = h.dies
}

// owner looks at what failed twice a day: what is not the release's fault has its slot freed.
func (s *simulation) owner() {
	for _, h := range s.hosts {
		if slot := h.r.Slot; slot != nil && slot.Kept != "" && h.broken && !h.off() {
			h.r.Resume(h.clock())
		}
	}
}

// month lets the time pass, minute by minute: a host's timer every ten minutes, each at its
// own.
func (s *simulation) month() {
	for minute := range days * 24 * 60 {
		s.now = s.start.Add(time.Duration(minute) * time.Minute)
		if minute%(12*60) == 0 {
			s.graph()
			s.owner()
		}
		before := s.graphs + s.lock.Requests()
		for i, h := range s.hosts {
			if !h.backAt.IsZero() && !h.dead && !s.now.Before(h.backAt) {
				h.backAt = time.Time{}
				s.down[h.group]--
				h.run()
			}
			if (minute+i)%10 == 0 && !h.off() {
				h.run()
			}
		}
		s.peak = max(s.peak, s.graphs+s.lock.Requests()-before)
	}
}

// settled holds the fleet to its end: every healthy host is there, and nothing is held but
// by what is dead or broken.
func (s *simulation) settled() {
	for _, h := range s.hosts {
		want := newest
		if h.broken {
			want = 1
		}
		if !h.dead && h.running != want {
			s.t.Errorf("%s runs %d, not %d: %+v", h.name, h.running, want, h.r)
		}
		if !h.dead && !h.broken && h.r.Slot != nil {
			s.t.Errorf("%s holds a slot: %+v", h.name, h.r.Slot)
		}
	}
	for _, w := range waves() {
		if n, k := s.ranBad[w.name], s.lock.Groups[w.name]; n > k || n == 0 {
			s.t.Errorf("%s: %d hosts ran the bad release, with %d slots", w.name, n, k)
		}
	}
}

// TestF68_Month: a month of 100 hosts; TBX_FLEET=1000 of more (make fleet).
func TestF68_Month(t *testing.T) {
	hosts := 100
	if text := os.Getenv("TBX_FLEET"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		hosts = n
	}
	s := newSimulation(t, hosts)
	s.month()
	s.settled()
	total := s.graphs + s.lock.Requests()
	t.Logf("%d hosts, slots %v, most at once %v, ran the bad release %v; requests: %d for the graph, %d to the lock, %.3f a second, %d in the busiest minute",
		len(s.hosts), s.lock.Groups, s.mostUp, s.ranBad, s.graphs, s.lock.Requests(), float64(total)/(days*24*3600), s.peak)
}
