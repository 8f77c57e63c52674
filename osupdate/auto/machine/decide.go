package machine

import (
	"fmt"
	"slices"
	"time"
)

// Times that no setting changes.
const (
	grace      = 5 * time.Minute  // between the first failed look at a new system and the second
	patience   = 30 * time.Minute // how long a new system may take to finish its boot
	lookAgain  = time.Minute      // until the next look at one that has not
	maxPerHour = 3                // restarts by tbx; more would be a loop
	longest    = 24 * time.Hour   // of all waits after an error
)

// Decide says what to do now, and the record to write down before it is done.
func Decide(r Record, f Facts, p Policy) (Record, Action) {
	r.Format = Format
	r.Denied, r.Restarts, r.Reasons = slices.Clone(r.Denied), recent(r.Restarts, f.Now), slices.Clone(r.Reasons)
	if !r.Running.Known() && p.Lock && r.Slot == nil { // what was held before is not known
		r.Slot = &Slot{Since: f.Now, Asked: f.Now}
	}
	observe(&r, f)
	r.Boot, r.Running, r.Next = f.Boot, f.Running, Release{}
	if !f.Chosen && !f.Next.Is(f.Running) {
		r.Next = f.Next
	}
	if !p.Enabled || f.Manager != "" || f.Busy != "" || r.State == Stopped || !f.Running.Known() {
		return r, Nothing
	}
	troubled := r.Trouble != nil && !due(r.Trouble.Next, f.Now)
	switch r.State {
	case Proving:
		if !due(r.NextLook, f.Now) {
			return r, Nothing
		}
		return r, Prove
	case RollingBack:
		if troubled {
			return r, Nothing
		}
		return goBack(r, f, p)
	case Withdrawing:
		if f.Chosen || !f.Next.Is(r.Target) || f.Next.Is(f.Running) { // it was done already, or a person chose
			r.settle(f.Now)
			return r, Nothing
		}
		return r, Withdraw
	}
	if !p.Fleet {
		r.Slot = nil
	}
	if r.spare(f, troubled) {
		switch {
		case due(r.Slot.Next, f.Now):
			return r, Unlock
		case r.State != Staged: // others wait for it, and nothing new is begun before
			return r, Nothing
		}
	}
	if troubled || r.paused(f.Now) || f.Chosen && !f.Next.Is(f.Running) {
		return r, Nothing
	}
	if passed(r.Checked, p.CheckEvery, f.Now) {
		return r, Check
	}
	switch r.State {
	case Waiting:
		return stage(r, f, p)
	case Staged:
		return restart(r, f, p, r.Target, Rebooting)
	}
	return r, Nothing
}

// paused says whether nothing new is begun. A pause that is further away than any that
// can be asked for comes from a clock that was wrong.
func (r *Record) paused(now time.Time) bool { return now.Before(r.Paused) }

// stage fetches the target, unless something speaks against that; when the deadline has
// passed, only what is firm does.
func stage(r Record, f Facts, p Policy) (Record, Action) {
	deadline := p.Deadline
	if r.Security && p.SecurityDeadline > 0 && (deadline == 0 || p.SecurityDeadline < deadline) {
		deadline = p.SecurityDeadline
	}
	late := deadline > 0 && f.Now.Sub(r.FirstSeen) >= deadline
	if len(f.Blocks) > 0 && (!late || f.Firm) {
		if r.Blocked == nil {
			r.Blocked = &Blocked{Since: f.Now}
		}
		r.Blocked = &Blocked{Reasons: slices.Clone(f.Blocks), Since: r.Blocked.Since}
		return r, Nothing
	}
	r.Blocked = nil
	r.enter(Staging, f.Now)
	r.From = f.Running
	return r, Stage
}

// restart restarts the machine into rel, where policy and memory allow it. The restart
// is written down before it is asked for: a crash in between costs a restart by hand, and
// never makes a second one.
func restart(r Record, f Facts, p Policy, rel Release, then State) (Record, Action) {
	if !r.mayRestart(f, rel) {
		return r, Nothing
	}
	hour := 0
	for _, b := range r.Restarts {
		if f.Now.Sub(b.At) < time.Hour {
			hour++
		}
	}
	if hour >= maxPerHour {
		r.stop(f.Now, fmt.Sprintf("the machine was restarted %d times in an hour", hour))
		return r, Nothing
	}
	if p.Lock && !r.Slot.sure(f.Now) {
		return lock(r, f)
	}
	if p.Lock && then == Rebooting && passed(r.Checked, lookNew, f.Now) {
		return r, Check // the fleet may have thought better of it while this host waited
	}
	r.Restarts = append(r.Restarts, Restart{Release: rel, At: f.Now})
	r.enter(then, f.Now)
	return r, Restarting
}

// mayRestart says whether policy and memory allow a restart into rel. What was to run
// already and does not, and what is denied, only a person restarts into.
func (r *Record) mayRestart(f Facts, rel Release) bool {
	return f.Permit.Allowed && f.Next.Is(rel) && !r.pending(rel) && r.denied(rel) == nil
}

// goBack has the previous system boot next, then restarts where that is allowed.
func goBack(r Record, f Facts, p Policy) (Record, Action) {
	switch {
	case f.Next.Is(r.From):
		return restart(r, f, p, r.From, RollingBack)
	case f.Chosen && !f.Next.Is(f.Running): // a person chose another one
		r.settle(f.Now)
		return r, Nothing
	case !f.Back:
		r.stop(f.Now, "there is no system to go back to")
		return r, Nothing
	}
	return r, GoBack
}

// due says whether a moment has come. One that is further away than any wait comes from
// a clock that was wrong.
func due(at, now time.Time) bool { return !now.Before(at) || at.Sub(now) > longest }

// passed says whether so long has passed since then, or the clock went back.
func passed(since time.Time, long time.Duration, now time.Time) bool {
	return now.Before(since) || now.Sub(since) >= long
}

// recent drops restarts that are older than a release is ever offered again.
func recent(all []Restart, now time.Time) []Restart {
	var out []Restart
	for _, b := range all {
		if now.Sub(b.At) < 180*24*time.Hour {
			out = append(out, b)
		}
	}
	return out
}
