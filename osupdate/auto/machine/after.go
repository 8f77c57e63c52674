package machine

import (
	"fmt"
	"slices"
	"time"
)

// After is the record after an action, to be written down before the next Decide.
func After(r Record, a Action, o Outcome) Record {
	switch {
	case a == Lock:
		locked(&r, o)
		return r
	case a == Unlock:
		unlocked(&r, o)
		return r
	case o.Err != nil && a != Prove:
		return failed(r, a, o)
	}
	switch a {
	case Check:
		if t := r.Trouble; t == nil || t.Action != Stage || !o.Found.Is(r.Target) {
			r.Trouble = nil // what cannot be fetched is not mended by an answer
		}
		r.Checked, r.Notes = o.Now, slices.Clone(o.Notes)
		checked(&r, o)
	case Stage:
		r.Trouble = nil
		staged(&r, o)
	case Withdraw:
		r.Next = Release{} // it is not a person who withdrew it
		r.settle(o.Now)
	case Prove:
		proved(&r, o)
	}
	return r
}

// checked takes what is newer for the target. What a person has staged stays, also where
// the fleet has chosen another one; its own choice it may take back.
func checked(r *Record, o Outcome) {
	byHand := r.State == Staged && o.Exact && !r.Exact
	switch {
	case o.Found.Is(r.Target) || byHand:
	case o.Found.Known() && r.denied(o.Found) == nil:
		r.Target, r.Exact, r.Security, r.FirstSeen, r.Newest = o.Found, o.Exact, o.Security, o.Now, o.Now
		r.Blocked = nil
		r.enter(Waiting, o.Now)
	case r.State == Waiting: // the source took it back
		r.settle(o.Now)
	case r.State == Staged && o.Exact:
		r.enter(Withdrawing, o.Now)
	}
}

// staged: the updater has fetched its newest, which may be newer than what was found, or
// denied, or not what the fleet chose.
func staged(r *Record, o Outcome) {
	switch {
	case !o.Found.Known() || o.Found.Is(r.From):
		r.settle(o.Now)
		return
	case r.denied(o.Found) != nil:
		r.Target = o.Found
		r.enter(Withdrawing, o.Now)
		return
	case r.Exact && !o.Found.Is(r.Target):
		r.Trouble = &Trouble{Kind: "result not as planned", Text: fmt.Sprintf("the updater fetched %s, and the fleet takes %s",
			o.Found.Name(), r.Target.Name()), Count: 1, First: o.Now, Next: o.Now.Add(longest)}
		r.Target = o.Found
		r.enter(Withdrawing, o.Now)
		return
	}
	r.Target, r.Next = o.Found, o.Found
	r.enter(Staged, o.Now)
}

// proved judges the look at a new system: the second failed one is believed.
func proved(r *Record, o Outcome) {
	h, reasons := o.Healthy, o.Reasons
	if h == Pending && o.Judge == "" && o.Now.Sub(r.Since) >= patience {
		h, reasons = Unhealthy, append([]string{"its boot has not ended after " + patience.String()}, reasons...)
	}
	r.Reasons = slices.Clone(reasons)
	switch {
	case h == Healthy:
		r.Good, r.Reasons = r.Running, nil
		r.keep("")
		r.settle(o.Now)
	case h == Pending || o.Judge != "":
		r.NextLook = o.Now.Add(lookAgain)
	case r.Unhealthy == 0:
		r.Unhealthy, r.NextLook = 1, o.Now.Add(grace)
	case !r.From.Known() || r.From.Is(r.Running):
		r.stop(o.Now, "it is not known what ran before")
	default:
		r.Unhealthy++
		r.deny(r.Target, fmt.Sprintf("it was not healthy: %s", join(reasons)), o.Now)
		r.keep(r.Target.Name() + " was not healthy here")
		r.enter(RollingBack, o.Now)
	}
}

// failed remembers an error and when to try again.
func failed(r Record, a Action, o Outcome) Record {
	t := *o.Err
	t.Action, t.Count, t.First = a, 1, o.Now
	if old := r.Trouble; old != nil && old.Kind == t.Kind {
		t.Count, t.First = old.Count+1, old.First
	}
	t.Next = o.Now.Add(backOff(t.Kind, t.Count))
	r.Trouble = &t
	switch a {
	case Stage:
		r.enter(Waiting, o.Now)
	case Restarting:
		r.Restarts = r.Restarts[:max(0, len(r.Restarts)-1)] // it was refused: there was none
		if r.Slot != nil {
			s := *r.Slot
			s.Unused = true
			r.Slot = &s
		}
		if r.State == Rebooting {
			r.enter(Staged, o.Now)
		}
	case GoBack, Withdraw:
		r.stop(o.Now, t.Text)
	}
	return r
}

// backOff is how long to wait after the n-th error of a kind in a row. What only a person
// can mend is tried once a day.
func backOff(kind string, n int) time.Duration {
	first := time.Hour
	switch kind {
	case "network", "timed out", "busy", "inhibited":
		first = 5 * time.Minute
	case "signature", "package conflict", "no space", "/etc merge", "corrupt", "not supported", "permission":
		return longest
	}
	return min(first<<min(n-1, 10), longest)
}

func join(reasons []string) string {
	if len(reasons) == 0 {
		return "its checks failed"
	}
	return reasons[0]
}
