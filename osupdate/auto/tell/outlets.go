package tell

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// Outlets are the places where it is told.
type Outlets struct {
	Root    string                                            // of the system
	Metrics string                                            // directory for node_exporter; empty: where its packages have it, if there
	Users   func(context.Context) []int                       // who has a desktop now
	Show    func(ctx context.Context, uid int, n Notice) bool // on the desktop of a user; false: not seen
	Journal func(text string, fields map[string]string)
}

// Told is what was told, and when: the id of a notice, with " @" and the user's number
// where it was shown to one.
type Told map[string]time.Time

const (
	motd   = "run/motd.d/85-tbx-host.motd"
	marker = "run/reboot-required"
	// markerText is what others show of the marker, reboot-required(5) of Debian.
	markerText = "*** System restart required ***\nAn update of the host waits for it: tbx host status\n"
)

// Tell takes notices where they are read. told remembers what was said to whom: each is
// shown once to each user, and once in the journal; what is over is forgotten. The files
// say what is now, and are written where that has changed only.
func (o *Outlets) Tell(ctx context.Context, r *machine.Record, ns []Notice, told Told, now time.Time) (Told, error) {
	next := Told{}
	var text strings.Builder
	users := o.Users(ctx)
	for _, n := range ns {
		text.WriteString(escape.Text(n.Text) + "\n  " + escape.Text(n.Do) + "\n")
		for key, at := range told {
			if key == n.ID || strings.HasPrefix(key, n.ID+" @") {
				next[key] = at
			}
		}
		if next[n.ID].IsZero() {
			next[n.ID] = now
			o.Journal(n.Title+": "+n.Text+" "+n.Do, map[string]string{"PRIORITY": "4", "TBX_NOTICE": n.ID})
		}
		for _, uid := range users {
			if key := userKey(n, uid); next[key].IsZero() && o.Show(ctx, uid, n) {
				next[key] = now
			}
		}
	}
	restart := ""
	switch r.State {
	case machine.Staged, machine.Rebooting, machine.RollingBack:
		restart = markerText
	}
	return next, errors.Join(o.file(motd, text.String(), true), o.file(marker, restart, false), o.metrics(r, len(ns)))
}

// file makes what is at a path below the root be text; empty: that there is none. What
// others have put there stays, where it is not tbx's own place.
func (o *Outlets) file(name, text string, own bool) error {
	path := filepath.Join(o.Root, name)
	was, err := os.ReadFile(path)
	switch {
	case err == nil && string(was) == text, err != nil && text == "":
		return nil
	case err == nil && !own && string(was) != markerText:
		return nil
	case text == "":
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteVolatile(path, []byte(text), 0o644)
}
