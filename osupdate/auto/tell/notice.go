// Package tell says what a person has to know of automatic updates, once, where it is
// read: to the desktop of each session, at the next login, to other programs by a marker,
// to node_exporter, and to the journal. Of is what there is to say, a pure function; the
// rest takes it there. It decides nothing about updates, and a place that is not there is
// no error.
package tell

import (
	"fmt"
	"strings"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// Notice is one thing that a person has to know, and perhaps to do something about.
type Notice struct {
	ID    string `json:"id"` // the same as long as it is the same thing
	Title string `json:"title"`
	Text  string `json:"text"` // one sentence or two
	Do    string `json:"do"`   // the next step
}

// How long something lasts until it is told.
const (
	StaleAfter  = 30 * 24 * time.Hour // without anything new
	StagedAfter = 3 * 24 * time.Hour  // without the restart
	deafAfter   = 7 * 24 * time.Hour  // without an answer of the source
	deniedFor   = 14 * 24 * time.Hour // how long it is news that a release failed
)

// Of is what there is to tell at a moment. blockers are the layered packages that keep an
// update from being made.
func Of(r *machine.Record, blockers []string, now time.Time) []Notice {
	var out []Notice
	add := func(id, title, text, do string) { out = append(out, Notice{id, title, text, do}) }
	switch r.State {
	case machine.Stopped:
		add("stopped "+r.Target.Name(), "Updates have stopped", "Automatic updates have stopped: "+strings.Join(r.Reasons, "; ")+".",
			"Look at the host (tbx host status), then let them go on: sudo tbx host auto resume")
	case machine.Staged, machine.Rebooting:
		if days := int(now.Sub(r.Since).Hours() / 24); now.Sub(r.Since) > StagedAfter {
			add("staged "+r.Target.Name(), "An update waits for a restart",
				fmt.Sprintf("%s was fetched %d days ago and is not applied: a machine that is only suspended does not take it.",
					r.Target.Name(), days),
				"Restart when it suits you: tbx host reboot")
		}
	case machine.RollingBack:
		add("failed "+r.Target.Name(), "An update failed, and is undone",
			fmt.Sprintf("%s runs and is not healthy: %s. %s boots next.", r.Target.Name(), strings.Join(r.Reasons, "; "), r.From.Name()),
			"Restart when it suits you: tbx host reboot")
	}
	for _, d := range r.Denied {
		if strings.HasPrefix(d.Why, "it was not healthy") && now.Sub(d.At) < deniedFor && r.State != machine.RollingBack {
			add("undone "+d.Release.Name(), "An update failed, and was undone",
				fmt.Sprintf("%s is not taken again: %s.", d.Release.Name(), d.Why), "See what is next: tbx host auto explain")
		}
	}
	if t := r.Trouble; t != nil {
		if n, ok := trouble(t, blockers, now); ok {
			out = append(out, n)
		}
	}
	if s := r.Slot; s != nil && s.Kept != "" {
		add("slot "+s.Since.Format(time.RFC3339), "This machine holds up its fleet",
			"It keeps its slot of the fleet's lock: "+s.Kept+".", "Look at it, then free the slot: sudo tbx host auto resume")
	}
	for _, note := range r.Notes {
		if strings.Contains(note, "dead end") {
			add("dead end "+r.Running.Name(), "No update leads away from this release", note+".", "Follow what its makers say there")
		}
	}
	if last := latest(r.Newest, r.Running.Time); !last.IsZero() && now.Sub(last) > StaleAfter && !r.Checked.IsZero() {
		add("stale "+last.Format(time.DateOnly), "Nothing new for a month",
			fmt.Sprintf("The last update that was found is of %s.", last.Format("2 January 2006")),
			"See whether what this host follows is still made: tbx host status")
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// trouble is what an error has to say that does not pass by itself.
func trouble(t *machine.Trouble, blockers []string, now time.Time) (Notice, bool) {
	n := Notice{ID: t.Kind + " " + t.First.Format(time.RFC3339), Title: "Updates do not get through", Text: "The last try failed: " +
		strings.TrimSuffix(t.Text, ".") + "."}
	switch t.Kind {
	case "package conflict":
		n.Title, n.Do = "Layered packages keep updates away", "See which with tbx host upgrade --dry-run"
		if len(blockers) > 0 {
			names := strings.Join(blockers, " ")
			n.Text += " What is layered on this host: " + strings.Join(blockers, ", ") + "."
			n.Do = "Have them in a toolbox instead: tbx create; tbx install " + names + "; then tbx host uninstall " + names
		}
	case "signature":
		if t.Count < 2 { // those who sign make mistakes too, and mend them
			return n, false
		}
		n.Title, n.Do = "Updates are not signed as they should be", "Ask those who make the system; nothing that is not signed is taken"
	case "no space":
		n.Title, n.Do = "There is no room for updates", "Free some: tbx host cleanup; see how much is wanted: tbx host doctor"
	case "/etc merge":
		n.Do = "See what differs: tbx host etc-diff"
	case "finalisation failed":
		n.Title, n.Do = "An update did not boot", "See why: tbx host doctor"
	case "corrupt":
		n.Do = "See what is damaged: tbx host verify"
	case "network", "timed out":
		if now.Sub(t.First) < deafAfter {
			return n, false
		}
		n.Title = "The source of updates does not answer"
		n.Text = fmt.Sprintf("Since %s: %s.", t.First.Format("2 January"), strings.TrimSuffix(t.Text, "."))
		n.Do = "See whether it can be reached: tbx host doctor"
	default:
		if t.Count < 5 {
			return n, false
		}
		n.Do = "See what is next: tbx host auto explain"
	}
	return n, true
}
