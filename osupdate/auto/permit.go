package auto

import (
	"context"
	"fmt"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/window"
)

// permit says whether the policy allows a restart now. A session that cannot be asked for
// counts as one that is used: nobody is restarted under their hands by mistake.
func permit(ctx context.Context, s *Settings, bus Bus, now time.Time) machine.Permit {
	switch s.Reboot {
	case Immediate:
		return machine.Permit{Allowed: true, Why: "at once"}
	case Idle:
		return unused(ctx, s, bus, now)
	case FleetLock:
		if len(s.Windows) == 0 {
			return unused(ctx, s, bus, now)
		}
		fallthrough
	case Window:
		loc, err := s.Location()
		if err != nil {
			return machine.Permit{Why: err.Error()}
		}
		if window.Open(s.Windows, now, loc).IsZero() {
			return machine.Permit{Why: "in the next window, " + window.Next(s.Windows, now, loc).In(loc).Format("Mon 2 January 15:04 MST")}
		}
		return unused(ctx, s, bus, now)
	}
	return machine.Permit{Why: "by a person"}
}

// unused says whether all sessions of people are idle.
func unused(ctx context.Context, s *Settings, bus Bus, now time.Time) machine.Permit {
	sessions, err := bus.Sessions(ctx)
	if err != nil {
		return machine.Permit{Why: "when logind tells who uses the machine, and it does not answer"}
	}
	for _, one := range sessions {
		if one.Class != "user" || one.State == "closing" {
			continue
		}
		if idle := now.Sub(one.IdleSince); !one.Idle || one.IdleSince.IsZero() || idle < time.Duration(s.IdleMinutes)*time.Minute {
			return machine.Permit{Why: fmt.Sprintf("when the session of %s has been idle for %d minutes", one.User, s.IdleMinutes)}
		}
	}
	return machine.Permit{Allowed: true, Why: "now that nobody uses it"}
}
