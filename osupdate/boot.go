package osupdate

import (
	"slices"
	"time"
)

// Boot tells which system boots next, the host's state in that respect, and the source of
// this knowledge. It is a fact that a boot loader or an updater states, never a guess
// from the order or the age of systems.
type Boot struct {
	State  BootState `json:"state"`
	Next   string    `json:"next,omitempty"` // id of the system that boots next; empty: cannot tell
	By     BootBy    `json:"by,omitempty"`   // who made another system than the running one boot next
	Source string    `json:"source"`         // who says so: the boot loader, the updater, the firmware
	Text   string    `json:"text"`           // a sentence for people
}

// BootState is the relation of the running system to the next one.
type BootState string

// The states.
const (
	BootRunning   BootState = "running"         // the running system boots next
	BootOther     BootState = "other"           // the running system is not the one that boots by default
	BootStaged    BootState = "staged"          // a staged system boots next, if the shutdown is clean
	BootLocked    BootState = "locked"          // a staged system is there and is not applied
	BootRollback  BootState = "rollback"        // a rollback waits for the next boot
	BootSoft      BootState = "soft-reboot"     // a soft reboot into the next system is prepared
	BootUnblessed BootState = "not-yet-blessed" // the running system boots next, and has not proven itself
	BootUnknown   BootState = "unknown"         // it cannot be told what boots next
)

// BootBy is who or what chose a next system that is not the running one.
type BootBy string

// The choosers. Empty if the running system boots next.
const (
	ByUpdate         BootBy = "update"           // an update of this boot
	ByRollback       BootBy = "rollback"         // a rollback of this boot, by tbx or by another program
	ByMenu           BootBy = "menu"             // somebody chose the running system in the boot menu
	ByFallback       BootBy = "fallback"         // boot counting gave the next system up
	ByMenuOrFallback BootBy = "menu or fallback" // the machine did not start its default system
	ByUnknown        BootBy = "unknown"
)

// settle fills in s.Boot and the marks Next of the deployments. A backend has set before
// what it knows for certain: Boot.State unknown, not-yet-blessed or soft-reboot,
// Boot.Next, Boot.By and Boot.Source.
func (s *State) settle(scope func(*Deployment) bool) {
	b := &s.Boot
	if b.Source == "" {
		b.Source = string(s.Backend)
	}
	var next, booted, locked *Deployment
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Booted {
			booted = d
		}
		if d.Locked {
			locked = d
		}
		can := !d.Locked && d.Incomplete == "" && scope(d)
		if next == nil && b.State != BootUnknown && (b.Next == d.ID || b.Next == "" && can) {
			next = d
		}
	}
	for i := range s.Deployments {
		s.Deployments[i].Next = next == &s.Deployments[i]
	}
	switch {
	case next == nil:
		b.State, b.Next = BootUnknown, ""
	case booted == nil || next == booted:
		b.Next = next.ID
		b.By = ""
		switch {
		case locked != nil:
			b.State = BootLocked
		case b.State != BootUnblessed && b.State != BootSoft:
			b.State = BootRunning
		}
	case next.Staged:
		b.Next, b.By = next.ID, ByUpdate
		if b.State != BootSoft {
			b.State = BootStaged
		}
	default:
		b.Next = next.ID
		if b.By == "" {
			b.By = ByUnknown
		}
		if b.State != BootSoft {
			b.State = BootOther
			switch b.By {
			case ByRollback:
				b.State = BootRollback
			case ByUpdate:
				b.State = BootStaged
			}
		}
	}
	b.Text = s.bootText(next, booted, locked)
}

// bootText describes the state in a sentence.
func (s *State) bootText(next, booted, locked *Deployment) string {
	switch s.Boot.State {
	case BootRunning:
		return next.Name() + " boots next"
	case BootUnblessed:
		return next.Name() + " runs and boots next, and has not yet been marked as good"
	case BootLocked:
		return next.Name() + " boots next; " + locked.Name() + " is downloaded and is not applied until it is unlocked"
	case BootSoft:
		return "a soft reboot into " + next.Name() + " is prepared"
	case BootStaged:
		return s.Label(next) + " boots next"
	case BootRollback:
		return "a rollback waits: " + s.Label(next) + " boots next"
	case BootOther:
		text := s.Label(booted) + " runs and is not the default: " + s.Label(next) + " boots next"
		switch s.Boot.By {
		case ByMenu:
			return text + "; the running one was chosen in the boot menu"
		case ByFallback:
			return text + "; boot counting gave it up at the last boot"
		case ByMenuOrFallback:
			return text + "; the running one was chosen in the boot menu, or the default one failed to boot"
		}
		return text
	}
	return "it cannot be told what boots next"
}

// Waits returns the system that waits for the next boot because of a change in this boot:
// staged, written or rolled back to. It is nil if nothing waits, if it is not known, or
// if the running system was chosen in the boot menu.
func (s *State) Waits() *Deployment {
	next, booted := s.Next(), s.Booted()
	if next == nil || booted == nil || next == booted {
		return nil
	}
	if s.Boot.State == BootOther && !s.older(next, booted) {
		return nil
	}
	return next
}

// Downloaded returns the staged system that is locked, or nil.
func (s *State) Downloaded() *Deployment {
	i := slices.IndexFunc(s.Deployments, func(d Deployment) bool { return d.Locked })
	if i < 0 {
		return nil
	}
	return &s.Deployments[i]
}

// older reports whether a is made from an older image than b, as far as is known. The
// time of layered packages does not matter.
func (s *State) older(a, b *Deployment) bool {
	at, bt := a.made(), b.made()
	if at == nil || bt == nil {
		return a.Index > b.Index
	}
	return at.Before(*bt)
}

func (d *Deployment) made() *time.Time {
	if d.BaseTime != nil {
		return d.BaseTime
	}
	return d.Time
}
