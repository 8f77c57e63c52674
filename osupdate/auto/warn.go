package auto

import (
	"context"
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// warn writes to every terminal, wall(1), and waits. Nobody there, and no wall, is nobody
// to warn.
func (r *Runner) warn(ctx context.Context, text string) {
	sessions, err := r.Bus.Sessions(ctx)
	if err == nil && len(sessions) == 0 {
		return
	}
	wall, err := r.Tools.Path("wall")
	if err != nil {
		return
	}
	if _, _, err := r.Tools.Run(ctx, osupdate.Call{Argv: []string{wall, text}}); err != nil {
		r.Say(Event{Text: "nobody was warned: " + err.Error()})
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.Notice):
	}
}
