package auto

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

//go:embed userunits
var userUnits embed.FS

// stepFile is written when the host has had its turn, once a day: users' units wait for it.
// Not below /run/tbx, which is root's alone.
const stepFile = "run/tbx-host-step"

// stepped lets the toolboxes have their turn, whatever came of the host's.
func (r *Runner) stepped(m Memory) error {
	path, now := filepath.Join(r.Root, stepFile), r.Now()
	if fi, err := os.Stat(path); err == nil && now.Sub(fi.ModTime()) < 24*time.Hour && !now.Before(fi.ModTime()) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(string(m.State)+"\n"), 0o644); err != nil { // in place: that is what is watched
		return err
	}
	return os.Chtimes(path, now, now)
}

// Toolboxes is the step of one user after that of the host: units of the user's own, with
// a result of their own.
type Toolboxes struct {
	Config  string // the user's directory for settings
	Root    string
	Tools   *osupdate.Tools
	Program string // the tbx that the units start
}

// Step is what is known of the user's step.
type Step struct {
	On     bool       `json:"on"`
	Result string     `json:"result,omitempty"` // of the last one: success, or systemd's word for the failure
	Code   string     `json:"code,omitempty"`   // its exit code, where it failed
	At     *time.Time `json:"at,omitempty"`
}

// toolboxUnits are those that are enabled.
func toolboxUnits() []string { return []string{"tbx-toolboxes.path", "tbx-toolboxes.timer"} }

// On installs the units for the user, where no package has brought them, and enables them.
func (w *Toolboxes) On(ctx context.Context) error {
	entries, err := userUnits.ReadDir("userunits")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(w.Root, "usr/lib/systemd/user", e.Name())); err == nil {
			continue
		}
		data, err := userUnits.ReadFile("userunits/" + e.Name())
		if err != nil {
			return err
		}
		text := strings.Replace(string(data), "/usr/bin/tbx", w.Program, 1)
		path := filepath.Join(w.Config, "systemd/user", e.Name())
		err = os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = atomicfile.Write(path, []byte(text), 0o644)
		}
		if err != nil {
			return fail.Wrap(fail.Unable, err, "the unit %s was not installed", e.Name()).Hint("see whether your home can be written")
		}
	}
	if _, err := w.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	_, err = w.systemctl(ctx, append([]string{"enable", "--now"}, toolboxUnits()...)...)
	return err
}

// Off disables them.
func (w *Toolboxes) Off(ctx context.Context) error {
	if step, err := w.Look(ctx); err != nil || !step.On {
		return err
	}
	_, err := w.systemctl(ctx, append([]string{"disable", "--now"}, toolboxUnits()...)...)
	return err
}

// Look asks systemd for the last result.
func (w *Toolboxes) Look(ctx context.Context) (Step, error) {
	var s Step
	out, err := w.systemctl(ctx, "show", "--property=UnitFileState", "--value", toolboxUnits()[0])
	if err != nil {
		return s, err
	}
	s.On = strings.TrimSpace(out) == "enabled"
	out, err = w.systemctl(ctx, "show", "--timestamp=unix", "--property=Result,ExecMainStatus,ExecMainExitTimestamp",
		"tbx-toolboxes.service")
	if err != nil {
		return s, err
	}
	values := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	var at int64
	if _, err := fmt.Sscanf(values["ExecMainExitTimestamp"], "@%d", &at); err == nil && at > 0 {
		t := time.Unix(at, 0).UTC()
		s.At, s.Result = &t, values["Result"]
		if s.Result != "success" {
			s.Code = values["ExecMainStatus"]
		}
	}
	return s, nil
}

func (w *Toolboxes) systemctl(ctx context.Context, args ...string) (string, error) {
	path, err := w.Tools.Path("systemctl")
	if err != nil {
		return "", err
	}
	out, _, err := w.Tools.Run(ctx, osupdate.Call{Argv: append([]string{path, "--user"}, args...)})
	if err != nil {
		return "", fail.Wrap(fail.Unable, err, "your systemd does not do it").
			Hint("call it in a session of your own on this machine, not by sudo")
	}
	return string(out), nil
}
