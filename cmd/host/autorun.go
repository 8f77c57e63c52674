package host

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// runOptions are those of a run: the clients of a fleet, whether a person asked, and
// whether the code says that nothing was changed.
type runOptions struct {
	open          auto.OpenFleet
	force         bool
	exitUnchanged bool
}

func autoNow(env *cli.Env, o *hostOptions, open auto.OpenFleet) *cobra.Command {
	run := runOptions{open: open, force: true}
	cmd := autoCommand(readerHelp{"now", "Look for an update and fetch it now",
		`Do at once what the timer does: look for an update, fetch it, look whether a new system
is healthy. Conditions and a pause do not count, and the policy for restarts does. Scripts
learn with --exit-unchanged whether anything was changed.`,
		"  sudo tbx host auto now\n  sudo tbx host auto now --exit-unchanged || echo nothing new"},
		func(cmd *cobra.Command) error { return runAuto(cmd.Context(), env, o, run) })
	unchangedFlag(cmd, &run)
	return cmd
}

// autoRun is what the unit starts.
func autoRun(env *cli.Env, o *hostOptions, open auto.OpenFleet) *cobra.Command {
	run := runOptions{open: open}
	cmd := autoCommand(readerHelp{"run", "Take the steps that are due", "Take the steps that are due; for the unit tbx-host-auto.service.",
		"  sudo systemctl start tbx-host-auto.service"},
		func(cmd *cobra.Command) error { return runAuto(cmd.Context(), env, o, run) })
	unchangedFlag(cmd, &run)
	cmd.Hidden = true
	return cmd
}

func unchangedFlag(cmd *cobra.Command, run *runOptions) {
	cmd.Flags().BoolVar(&run.exitUnchanged, "exit-unchanged", false, "end with 77 if nothing was changed")
}

// outlets are where people and programs of this machine read what they have to know.
func outlets(cfg osupdate.Config, metrics string, say func(auto.Event)) *tell.Outlets {
	busctl, err := cfg.Tools.Path("busctl")
	if err != nil {
		busctl = "" // without systemd there is nobody to show it to
	}
	return &tell.Outlets{
		Root: cfg.Root, Metrics: metrics, Users: auto.Desktops(auto.SystemBus{}), Show: tell.Desktop(busctl, "/run/user"),
		Journal: func(text string, fields map[string]string) { say(auto.Event{Text: text, Fields: fields}) },
	}
}

// sayer writes to the journal with fields where a unit's output goes there anyway, else to
// standard error.
func sayer(env *cli.Env) func(auto.Event) {
	if env.Getenv("JOURNAL_STREAM") != "" {
		if journal, ok := tell.Journal("/run/systemd/journal/socket"); ok {
			return func(e auto.Event) { journal(escape.Text(e.Text), e.Fields) }
		}
	}
	return func(e auto.Event) { fmt.Fprintln(env.Err, escape.Text(e.Text)) }
}

func runAuto(ctx context.Context, env *cli.Env, o *hostOptions, run runOptions) error {
	cfg, err := autoConfig(env, o, true)
	if err != nil {
		return err
	}
	env.CatchSignals()
	s, _, err := auto.Load(auto.SettingsFiles(cfg.Root))
	if err != nil {
		return err
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		return err
	}
	say := sayer(env)
	r := &auto.Runner{
		Host: h, Settings: s, Dir: cfg.StateDir, LockPath: autoLock, Root: cfg.Root, Tools: cfg.Tools, Bus: auto.SystemBus{}, Now: time.Now,
		Say: say, Outlets: outlets(cfg, s.Metrics, say), Force: run.force, Notice: time.Minute,
	}
	if s.Fleet.Graph != "" || s.Fleet.Lock != "" {
		if r.Fleet, err = run.open(s.Fleet, cfg.Root); err != nil {
			return err
		}
	}
	m, err := r.Run(ctx)
	env.Progress().Close()
	if err == nil && m.State == machine.Stopped && run.force {
		return fail.New(fail.Unable, "automatic updates have stopped").Hint("see why: tbx host auto explain")
	}
	if err == nil && run.force {
		err = printAuto(ctx, env, o)
	}
	if err == nil && run.exitUnchanged && !r.Changed {
		return cli.Exit(cli.ExitUnchanged)
	}
	return err
}
