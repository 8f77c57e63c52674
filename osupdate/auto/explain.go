package auto

import (
	"fmt"
	"strings"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// View is what people are told of automatic updates.
type View struct {
	Enabled  bool           `json:"enabled"`
	Timer    string         `json:"timer"`             // enabled, disabled, or not-found
	Manager  string         `json:"manager,omitempty"` // who else updates this host
	Record   machine.Record `json:"record"`
	Permit   machine.Permit `json:"permit"`
	Settings []Value        `json:"settings"`
	Notices  []tell.Notice  `json:"notices,omitempty"` // what a person should know, and do
	Lines    []string       `json:"lines"`             // two lines for status
}

// Explain says in sentences what the automatic updates do next, when, and what they wait
// for.
func (v *View) Explain(s *Settings, now time.Time) []string {
	r := &v.Record
	switch {
	case v.Manager != "":
		return []string{v.Manager + " updates this host, and tbx only looks.",
			"To have tbx do it: tbx host auto on --take-over"}
	case !v.Enabled:
		return []string{"Automatic updates are switched off.", "To switch them on: tbx host auto on"}
	case v.Timer != "enabled":
		return []string{"Automatic updates are allowed, and nothing starts them: tbx-host-auto.timer is " + v.Timer + ".",
			"To have them started: tbx host auto on"}
	}
	out := append(v.state(s, now), v.fleet(now)...)
	if now.Before(r.Paused) {
		out = append(out, "Nothing new is begun until "+clock(r.Paused)+", because a person paused it.")
	}
	if t := r.Trouble; t != nil {
		out = append(out, fmt.Sprintf("The last try failed, %s since %s: %s. The next one is at %s.", times(t.Count), clock(t.First),
			strings.TrimSuffix(t.Text, "."), clock(t.Next)))
		if do := v.advice(); do != "" {
			out = append(out, do+".")
		}
	}
	for _, d := range r.Denied {
		out = append(out, fmt.Sprintf("%s is not taken: %s (%s).", d.Release.Name(), d.Why, clock(d.At)))
	}
	if !r.Newest.IsZero() && now.Sub(r.Newest) > tell.StaleAfter {
		out = append(out, "Nothing new has come since "+clock(r.Newest)+": see whether what this host follows is still made.")
	}
	return out
}

// state says what is going on, and what comes then.
func (v *View) state(s *Settings, now time.Time) []string {
	r := &v.Record
	switch r.State {
	case machine.Waiting, machine.Staging:
		out := []string{fmt.Sprintf("%s is there since %s, and is fetched at the next run.", r.Target.Name(), clock(r.FirstSeen))}
		if r.Blocked != nil {
			out[0] = fmt.Sprintf("%s is there since %s, and is not fetched since %s: %s.", r.Target.Name(), clock(r.FirstSeen),
				clock(r.Blocked.Since), strings.Join(r.Blocked.Reasons, "; "))
			p := s.Policy()
			deadline := p.Deadline
			if r.Security && p.SecurityDeadline > 0 {
				deadline = p.SecurityDeadline
			}
			if deadline > 0 {
				out = append(out, "It is fetched in spite of that from "+clock(r.FirstSeen.Add(deadline))+" on.")
			}
		}
		return out
	case machine.Staged, machine.Rebooting:
		out := []string{fmt.Sprintf("%s is fetched and boots next; the machine is restarted %s.", r.Target.Name(), v.Permit.Why)}
		if now.Sub(r.Since) > tell.StagedAfter {
			out = append(out, fmt.Sprintf("It waits since %d days: a machine that is only suspended does not take it. Restart when it "+
				"suits you: tbx host reboot",
				int(now.Sub(r.Since).Hours()/24)))
		}
		return out
	case machine.Withdrawing:
		return []string{r.Target.Name() + " was fetched and is denied; it is withdrawn at the next run."}
	case machine.Proving:
		out := []string{fmt.Sprintf("%s runs since %s, and is looked at until it has proven itself.", r.Target.Name(), clock(r.Since))}
		if r.Unhealthy > 0 {
			out = append(out, fmt.Sprintf("It failed its checks once (%s). If it fails again, the host goes back to %s.",
				strings.Join(r.Reasons, "; "), r.From.Name()))
		} else if len(r.Reasons) > 0 {
			out = append(out, "Not yet: "+strings.Join(r.Reasons, "; ")+".")
		}
		return out
	case machine.RollingBack:
		return []string{fmt.Sprintf("%s failed its checks (%s). %s boots next; the machine is restarted %s.", r.Target.Name(),
			strings.Join(r.Reasons, "; "), r.From.Name(), v.Permit.Why)}
	case machine.Stopped:
		return []string{"Automatic updates have stopped: " + strings.Join(r.Reasons, "; ") + ".",
			"Look at the host: tbx host status; then let them go on: tbx host auto resume"}
	}
	if r.Slot != nil && !r.Slot.No {
		return nil // fleet says so
	}
	if r.Checked.IsZero() {
		return []string{"Nothing was looked for yet; the next run does."}
	}
	return []string{fmt.Sprintf("The host is current as of %s. The next look is at %s.", clock(r.Checked),
		clock(r.Checked.Add(s.Policy().CheckEvery)))}
}

// fleet says what of the fleet keeps this host from going on, and what it keeps from the
// fleet.
func (v *View) fleet(now time.Time) []string {
	r := &v.Record
	var out []string
	switch s := r.Slot; {
	case s == nil:
	case s.Kept != "":
		out = append(out, fmt.Sprintf("This host keeps its slot of the fleet's lock since %s, so that others do not take what failed here: %s.",
			clock(s.Since), s.Kept),
			"It gives the slot back when a newer release is good; or, when you have looked: tbx host auto resume")
	case s.No:
		out = append(out, fmt.Sprintf("It waits for a slot of the fleet's lock since %s: %s.", clock(s.Since), strings.TrimSuffix(s.Why, ".")))
	case (r.State == machine.Idle || r.State == machine.Waiting) && s.Tries > 0:
		out = append(out, fmt.Sprintf("The slot of the fleet's lock is not given back yet, and nothing new is begun before: %s. "+
			"The next try is at %s.", strings.TrimSuffix(s.Why, "."), clock(s.Next)))
	case r.State == machine.Idle || r.State == machine.Waiting:
		out = append(out, "The slot of the fleet's lock is given back at the next run.")
	case s.Why != "":
		out = append(out, fmt.Sprintf("The fleet's lock did not answer: %s. The next try is at %s.",
			strings.TrimSuffix(s.Why, "."), clock(s.Next)))
	}
	for _, note := range r.Notes {
		out = append(out, "The fleet's graph: "+note+".")
	}
	return out
}

// Two are the two lines of `tbx host status`.
func (v *View) Two(s *Settings, now time.Time) []string {
	all := v.Explain(s, now)
	return all[:min(2, len(all))]
}

func clock(at time.Time) string { return at.Local().Format("Mon 2 January 15:04") }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
