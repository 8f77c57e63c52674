package machine

import (
	"fmt"
	"slices"
	"time"
)

// State is where the host is on the way from one release to the next.
type State string

// The states.
const (
	Idle        State = "idle"         // nothing newer is known
	Waiting     State = "waiting"      // an update is known and not fetched yet
	Staging     State = "staging"      // it is being fetched; met at a start, it was interrupted
	Staged      State = "staged"       // it boots next
	Withdrawing State = "withdrawing"  // what was fetched is denied, and is taken back
	Rebooting   State = "rebooting"    // tbx has asked for the restart
	Proving     State = "proving"      // the new system runs, and has not proven itself
	RollingBack State = "rolling-back" // it has not, and the previous one is to run again
	Stopped     State = "stopped"      // a person has to look
)

// States is every state, for the picture in docs/auto.md and the walk.
func States() []State {
	return []State{Idle, Waiting, Staging, Staged, Withdrawing, Rebooting, Proving, RollingBack, Stopped}
}

// Release is one system that the host runs or could run.
type Release struct {
	Content string    `json:"content,omitempty"` // the updater's identity of it: a commit, a slot
	Digest  string    `json:"digest,omitempty"`  // of the image's manifest, where it is made of one
	Base    string    `json:"base,omitempty"`    // the commit below what this host has put on top; all that a fleet knows
	Version string    `json:"version,omitempty"`
	Time    time.Time `json:"time,omitzero"` // when it was made; zero where that is not known
}

// Is says whether both are the same release. Where one is known by its version alone, that
// decides.
func (r Release) Is(o Release) bool {
	if r.Content != "" && r.Content == r.Version || o.Content != "" && o.Content == o.Version {
		return r.Version == o.Version && r.Version != ""
	}
	if r.baseOnly() || o.baseOnly() {
		return r.below() == o.below()
	}
	return r.Content != "" && (r.Content == o.Content || r.Content == o.Digest) ||
		r.Digest != "" && (r.Digest == o.Digest || r.Digest == o.Content)
}

// baseOnly says whether r is told by somebody who does not know what a host puts on top.
func (r Release) baseOnly() bool { return r.Base != "" && r.Content == "" && r.Digest == "" }

// below is the commit that the makers of r have made.
func (r Release) below() string {
	if r.Base != "" {
		return r.Base
	}
	return r.Content
}

// Known says whether there is a release at all.
func (r Release) Known() bool { return r.Content != "" || r.Digest != "" || r.Base != "" }

// Name is how a person would call it.
func (r Release) Name() string {
	switch {
	case r.Version != "":
		return r.Version
	case len(r.Content) > 12:
		return r.Content[:12]
	case r.Content != "":
		return r.Content
	case len(r.Digest) > 19:
		return r.Digest[:19]
	case len(r.Base) > 12:
		return r.Base[:12]
	}
	return r.Digest + r.Base
}

// Denied is a release that tbx does not take by itself any more.
type Denied struct {
	Release Release   `json:"release"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"`
}

// Restart is one that tbx has asked for.
type Restart struct {
	Release Release   `json:"release"` // that was to run afterwards
	At      time.Time `json:"at"`
	Arrived bool      `json:"arrived,omitempty"` // it ran
}

// Trouble is the last error, and when to try again.
type Trouble struct {
	Kind   string    `json:"kind"` // a name of osupdate's problems
	Text   string    `json:"text"`
	Action Action    `json:"action,omitempty"` // what failed
	Count  int       `json:"count"`            // how often in a row
	First  time.Time `json:"first"`
	Next   time.Time `json:"next"`
}

// Blocked is what keeps the next step from being done, and since when.
type Blocked struct {
	Reasons []string  `json:"reasons"`
	Since   time.Time `json:"since"`
}

// Format is the version of the record. A record of a later format is not touched.
const Format = 1

// Record is all that is remembered from one run to the next.
type Record struct {
	Format    int       `json:"format"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	Boot      string    `json:"boot,omitempty"` // id of the boot in which it was written
	Running   Release   `json:"running,omitzero"`
	Next      Release   `json:"next,omitzero"`   // what an update has made boot next, as it was last seen
	Target    Release   `json:"target,omitzero"` // of every state but idle
	From      Release   `json:"from,omitzero"`   // what ran when the target was staged
	Good      Release   `json:"good,omitzero"`   // the last one that has proven itself
	Exact     bool      `json:"exact,omitempty"` // the target is the fleet's choice: no other one will do
	Security  bool      `json:"security,omitempty"`
	FirstSeen time.Time `json:"first_seen,omitzero"` // when the target was found
	Checked   time.Time `json:"checked,omitzero"`    // the last answer of the source
	Newest    time.Time `json:"newest,omitzero"`     // when something new was last found
	Denied    []Denied  `json:"denied,omitempty"`
	Restarts  []Restart `json:"restarts,omitempty"`
	Unhealthy int       `json:"unhealthy,omitempty"` // how often the target failed its checks
	Reasons   []string  `json:"reasons,omitempty"`   // what failed, or why it is stopped
	NextLook  time.Time `json:"next_look,omitzero"`  // of proving
	Trouble   *Trouble  `json:"trouble,omitempty"`
	Blocked   *Blocked  `json:"blocked,omitempty"`
	Paused    time.Time `json:"paused,omitzero"` // until then nothing new is begun
	Slot      *Slot     `json:"slot,omitempty"`  // of the fleet's lock
	Notes     []string  `json:"notes,omitempty"` // why the source offers nothing newer, in its words
}

// denied is why r is not taken, or nil.
func (r *Record) denied(rel Release) *Denied {
	for i := range r.Denied {
		if r.Denied[i].Release.Is(rel) {
			return &r.Denied[i]
		}
	}
	return nil
}

// keptDenied is how many denied releases are remembered: more than a source ever offers
// again.
const keptDenied = 64

func (r *Record) deny(rel Release, why string, now time.Time) {
	if !rel.Known() || r.denied(rel) != nil {
		return
	}
	r.Denied = append(slices.Clone(r.Denied), Denied{rel, why, now})
	if n := len(r.Denied) - keptDenied; n > 0 {
		r.Denied = r.Denied[n:]
	}
}

// Ways is from which state the machine gets to which. A person gets it out of stopped.
func Ways() map[State][]State {
	return map[State][]State{
		Idle:        {Waiting, Staged, Proving},
		Waiting:     {Idle, Staging, Staged, Proving},
		Staging:     {Idle, Waiting, Staged, Withdrawing, Proving},
		Staged:      {Idle, Waiting, Withdrawing, Rebooting, Proving, Stopped},
		Withdrawing: {Idle, Proving, Stopped},
		Rebooting:   {Idle, Staged, Proving},
		Proving:     {Idle, RollingBack, Stopped},
		RollingBack: {Idle, Stopped},
		Stopped:     {Idle},
	}
}

// enter changes the state. A way that is not in Ways is a fault of this package: it ends
// in stopped, with the machine as it is.
func (r *Record) enter(s State, now time.Time) {
	if r.State == s {
		return
	}
	if !slices.Contains(Ways()[r.State], s) {
		r.Reasons = append(slices.Clone(r.Reasons), fmt.Sprintf("there is no way from %s to %s", r.State, s))
		s = Stopped
	}
	r.State, r.Since = s, now
}

// settle is the state without an update on its way.
func (r *Record) settle(now time.Time) {
	r.enter(Idle, now)
	r.Target, r.From, r.FirstSeen, r.Security, r.Exact = Release{}, Release{}, time.Time{}, false, false
	r.Unhealthy, r.NextLook, r.Blocked = 0, time.Time{}, nil
	if !r.Slot.owed() {
		r.Slot = nil
	}
}

func (r *Record) stop(now time.Time, why string) {
	r.enter(Stopped, now)
	r.Reasons = append(slices.Clone(r.Reasons), why)
}

// Resume is a person's word that the machine may go on, and begin new things again; and
// that the fleet may.
func (r *Record) Resume(now time.Time) {
	r.Paused, r.Reasons, r.Trouble = time.Time{}, nil, nil
	if r.Slot != nil {
		s := *r.Slot
		s.Kept, s.Next = "", time.Time{}
		r.Slot = &s
	}
	if r.State == Stopped {
		r.settle(now)
	}
}

// pending says whether tbx has asked for a restart into rel that did not get there.
func (r *Record) pending(rel Release) bool {
	return slices.ContainsFunc(r.Restarts, func(b Restart) bool { return !b.Arrived && b.Release.Is(rel) })
}
