package auto

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// tell takes what people have to know where they read it, and remembers that.
func (r *Runner) tell(ctx context.Context, m *Memory) error {
	now := r.Now()
	told, err := r.Outlets.Tell(ctx, &m.Record, tell.Of(&m.Record, m.Blockers, now), m.Told, now)
	if err != nil {
		r.Say(Event{Text: "not told everywhere: " + err.Error()}) // that is no failure of an update
	}
	if maps.Equal(told, m.Told) {
		return nil
	}
	m.Told = told
	return Keep(r.Dir, *m)
}

// Desktops are the users who have a graphical session at this machine.
func Desktops(bus Bus) func(context.Context) []int {
	return func(ctx context.Context) []int {
		sessions, err := bus.Sessions(ctx)
		if err != nil {
			return nil
		}
		var out []int
		for _, s := range sessions {
			graphical := s.Type == "x11" || s.Type == "wayland" || s.Type == "mir"
			if s.Class == "user" && s.State != "closing" && graphical && !s.Remote && !slices.Contains(out, s.UID) {
				out = append(out, s.UID)
			}
		}
		return out
	}
}

// blockers are the layered packages that an error is about: those that the updater names,
// else all of them. Without such an error, those of before last as long as that does.
func (r *Runner) blockers(ctx context.Context, m Memory, err error) []string {
	if !errors.Is(err, osupdate.ErrConflict) {
		if t := m.Trouble; t != nil && t.Kind == osupdate.ErrConflict.Name {
			return m.Blockers
		}
		return nil
	}
	st, statusErr := r.Host.Status(ctx)
	if statusErr != nil || st.State.Booted() == nil || st.State.Booted().Changes == nil {
		return nil
	}
	layered := slices.Concat(st.State.Booted().Changes.Layered, st.State.Booted().Changes.Local)
	text := err.Error()
	var te *osupdate.ToolError
	if errors.As(err, &te) {
		text += te.Text()
	}
	named := slices.DeleteFunc(slices.Clone(layered), func(name string) bool { return !strings.Contains(text, osupdate.PackageName(name)) })
	if len(named) == 0 {
		return layered
	}
	return named
}

// advice is what to do about the last error; empty where it may pass by itself.
func (v *View) advice() string {
	for _, n := range v.Notices {
		if t := v.Record.Trouble; t != nil && t.Kind != "" && strings.HasPrefix(n.ID, t.Kind+" ") {
			return n.Do
		}
	}
	return ""
}

// waitsForRestart are the states in which a restart is all that lacks.
func waitsForRestart() []machine.State {
	return []machine.State{machine.Staged, machine.Rebooting, machine.RollingBack}
}
