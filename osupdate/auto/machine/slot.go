package machine

import "time"

// Slot is this host's part in a fleet's lock: of all hosts of a group, only so many may be
// restarted at once. Once asked for, it counts as held until the server has taken it back.
type Slot struct {
	Since  time.Time `json:"since"`            // when it was first asked for
	Asked  time.Time `json:"asked"`            // when it was last asked for
	Held   bool      `json:"held"`             // the server said so
	No     bool      `json:"no,omitempty"`     // the server said that there is none: nothing has to be given back
	Kept   string    `json:"kept,omitempty"`   // why it is not given back: what it was for has failed
	Unused bool      `json:"unused,omitempty"` // the restart was refused by this host
	Why    string    `json:"why,omitempty"`    // what the server last said
	Tries  int       `json:"tries,omitempty"`  // in vain, in a row
	Next   time.Time `json:"next,omitzero"`    // when to ask again
}

const (
	atOnce   = 2 * time.Minute // how long a slot holds without being asked for again; others may have one's id
	lookNew  = 5 * time.Minute // what is restarted into by a fleet was still right so long ago
	slotWait = 5 * time.Minute // until a slot is asked for again
)

// owed says whether there is a slot that may have to be given back.
func (s *Slot) owed() bool { return s != nil && !s.No }

// sure says whether the slot was granted just now.
func (s *Slot) sure(now time.Time) bool {
	return s != nil && s.Held && !s.Unused && !now.Before(s.Asked) && now.Sub(s.Asked) < atOnce
}

// lock asks for a slot. That is written down before, because the answer may be lost.
func lock(r Record, f Facts) (Record, Action) {
	s := Slot{Since: f.Now}
	if r.Slot != nil {
		s = *r.Slot
	}
	if !due(s.Next, f.Now) {
		return r, Nothing
	}
	s.Asked, s.No, s.Unused = f.Now, false, false
	r.Slot = &s
	return r, Lock
}

// spare says whether the slot serves nothing now, and is to be given back. One that is
// kept stops the fleet: what this host has tried and failed with, others shall not try.
func (r *Record) spare(f Facts, troubled bool) bool {
	if !r.Slot.owed() || r.Slot.Kept != "" {
		return false
	}
	switch r.State {
	case Idle, Waiting, Withdrawing:
		return true
	case Staged:
		return r.Slot.Unused || troubled || !r.mayRestart(f, r.Target)
	}
	return false
}

// keep has the slot stay where it is, because what it was for has failed.
func (r *Record) keep(why string) {
	if r.Slot.owed() {
		s := *r.Slot
		s.Kept = why
		r.Slot = &s
	}
}

// locked is after the server was asked for a slot.
func locked(r *Record, o Outcome) {
	s := *r.Slot
	if o.Err == nil {
		s.Held, s.Asked, s.Why, s.Tries, s.Next = true, o.Now, "", 0, time.Time{}
	} else {
		s.Held, s.No = false, o.Refused && s.Kept == ""
		s.Why, s.Tries, s.Next = o.Err.Text, s.Tries+1, o.Now.Add(slotWait)
		if !o.Refused {
			s.Next = o.Now.Add(backOff("network", s.Tries))
		}
	}
	r.Slot = &s
}

// unlocked is after it was given back.
func unlocked(r *Record, o Outcome) {
	if o.Err == nil {
		r.Slot = nil
		return
	}
	s := *r.Slot
	s.Why, s.Tries = o.Err.Text, s.Tries+1
	s.Next = o.Now.Add(min(slotWait<<min(s.Tries-1, 10), time.Hour))
	r.Slot = &s
}
