package auto

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
	"github.com/tbx-project/tbx/osupdate"
)

// Timer is the unit that starts the runs, and Health the one that starts one when a boot
// has ended.
const (
	Timer  = "tbx-host-auto.timer"
	Health = "tbx-host-health.service"
)

//go:embed units
var units embed.FS

// dropIn is what `tbx host auto on` and `off` write: one file, which a person may change or
// remove.
const dropIn = "etc/tbx/host.toml.d/50-auto.toml"

// Switch turns the automatic updates on and off.
type Switch struct {
	Root    string
	Dir     string // of the memory
	Tools   *osupdate.Tools
	Program string // the tbx that the units start
}

// On has tbx update this host, with the policy for restarts if one is named. Where
// another program does it, that is ErrManaged, unless tbx takes over.
func (w *Switch) On(ctx context.Context, reboot Reboot, takeOver bool) error {
	text := "# Written by tbx host auto. See docs/auto.md.\n[auto]\nenabled = true\n"
	if reboot != "" {
		if !slices.Contains(Reboots(), reboot) {
			return fail.New(fail.Usage, "--reboot %s", reboot.none())
		}
		text += fmt.Sprintf("reboot = %q\n", string(reboot))
	}
	undo, err := w.try(text)
	if err != nil {
		return err
	}
	if err := w.yield(ctx, takeOver); err != nil {
		return errors.Join(err, undo())
	}
	if err := w.install(ctx); err != nil {
		return err
	}
	if UnitFile(w.Root, Health) != "" {
		if err := w.systemctl(ctx, "enable", Health); err != nil {
			return err
		}
	}
	return w.systemctl(ctx, "enable", "--now", Timer)
}

// Off leaves the host as it is, and gives it back to whom it was taken from.
func (w *Switch) Off(ctx context.Context) error {
	m, err := Recall(w.Dir)
	if err != nil {
		return err
	}
	if err := w.write("# Written by tbx host auto. See docs/auto.md.\n[auto]\nenabled = false\n"); err != nil {
		return err
	}
	for _, unit := range []string{Timer, Health} {
		if UnitFile(w.Root, unit) == "" {
			continue
		}
		if err := w.systemctl(ctx, "disable", "--now", unit); err != nil {
			return err
		}
	}
	for _, unit := range m.TakenOver {
		if err := w.systemctl(ctx, "unmask", unit); err != nil {
			return err
		}
		if err := w.systemctl(ctx, "start", unit); err != nil {
			return err
		}
	}
	m.TakenOver = nil
	return Keep(w.Dir, m)
}

// yield has the others give way, where that is allowed. What is masked is written down
// before, so that Off gives it back after a crash too.
func (w *Switch) yield(ctx context.Context, takeOver bool) error {
	found := Others(w.Root)
	for _, o := range found {
		switch {
		case !o.Yields:
			return fail.New(osupdate.ErrManaged, "%s manages this host (%s): tbx only looks", o.Name, o.Unit).
				Hint("change it there")
		case !takeOver:
			return fail.New(osupdate.ErrManaged, "%s (%s) updates this host already", o.Name, o.Unit).
				Hint("to have tbx do it instead: tbx host auto on --take-over; tbx host auto off gives it back")
		}
	}
	if len(found) == 0 {
		return nil
	}
	m, err := Recall(w.Dir)
	if err != nil {
		return err
	}
	for _, o := range found {
		if !slices.Contains(m.TakenOver, o.Unit) {
			m.TakenOver = append(m.TakenOver, o.Unit)
		}
	}
	if err := Keep(w.Dir, m); err != nil {
		return err
	}
	for _, o := range found {
		if err := w.systemctl(ctx, "mask", "--now", o.Unit); err != nil {
			return err
		}
	}
	return nil
}

// install writes tbx's units into /etc where no package has brought them. They start the
// program that runs now, which only root may be able to change.
func (w *Switch) install(ctx context.Context) error {
	if UnitFile(w.Root, Timer) != "" {
		return nil
	}
	if err := rootonly.Check(w.Program); err != nil {
		return fail.Wrap(fail.Unable, err, "%s is not started as root by a timer", w.Program).
			Hint("install tbx for the whole machine first: sudo make install PREFIX=/usr/local")
	}
	entries, err := units.ReadDir("units")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := units.ReadFile("units/" + e.Name())
		if err != nil {
			return err
		}
		text := strings.Replace(string(data), "/usr/bin/tbx", w.Program, 1)
		if err := atomicfile.Write(filepath.Join(w.Root, "etc/systemd/system", e.Name()), []byte(text), 0o644); err != nil {
			return fail.Wrap(fail.Unable, err, "the unit %s was not installed", e.Name()).Hint("see whether /etc can be written")
		}
	}
	return w.systemctl(ctx, "daemon-reload")
}

// try writes the settings, unless they lack something with those that are there: a
// policy without its windows, or without its lock. undo puts back what was there.
func (w *Switch) try(text string) (undo func() error, err error) {
	path := filepath.Join(w.Root, dropIn)
	was, err := os.ReadFile(path)
	undo = func() error { return w.write(string(was)) }
	switch {
	case errors.Is(err, os.ErrNotExist):
		undo = func() error { return os.Remove(path) }
	case err != nil:
		return nil, fail.Wrap(osupdate.ErrPermission, err, "the settings were not read").Hint("run it with sudo")
	}
	if err := w.write(text); err != nil {
		return nil, err
	}
	if _, _, err := Load(SettingsFiles(w.Root)); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

func (w *Switch) write(text string) error {
	path := filepath.Join(w.Root, dropIn)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = atomicfile.Write(path, []byte(text), 0o644)
	}
	if err != nil {
		return fail.Wrap(osupdate.ErrPermission, err, "the settings were not changed").Hint("run it with sudo")
	}
	return nil
}

func (w *Switch) systemctl(ctx context.Context, args ...string) error {
	path, err := w.Tools.Path("systemctl")
	if err != nil {
		return err
	}
	if _, _, err := w.Tools.Run(ctx, osupdate.Call{Argv: append([]string{path}, args...)}); err != nil {
		return fail.Wrap(osupdate.ErrBackend, err, "systemctl %s", strings.Join(args, " ")).
			Hint("see what systemd says: systemctl status %s", args[len(args)-1])
	}
	return nil
}
