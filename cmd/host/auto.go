package host

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/backends"
)

const (
	autoLock   = "/run/tbx/auto.lock"
	longestOff = 60 * 24 * time.Hour // of a pause: one that is forgotten ends
)

// hostAuto is `tbx host auto` and what is below it.
func hostAuto(env *cli.Env, o *hostOptions, open auto.OpenFleet) *cobra.Command {
	cmd := &cobra.Command{
		Use: "auto", Short: "Keep the host current by itself",
		Long: `Have a timer look for updates of what the host follows, fetch them when little speaks
against it, and look whether the new system is healthy after a restart; if it is not, go
back once. By default a person restarts. Nothing stays in memory, and another program that
updates this host already is left alone. Settings: /etc/tbx/host.toml, see docs/auto.md.`,
		Example: "  sudo tbx host auto on\n  tbx host auto explain\n  sudo tbx host auto pause 2026-12-24",
		Args:    cli.UnknownCommand,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	for _, c := range []*cobra.Command{
		autoOn(env, o), autoOff(env, o, open), autoStatus(env, o), autoExplain(env, o), autoNow(env, o, open), autoPause(env, o),
		autoResume(env, o), autoToolboxes(env, o), autoRun(env, o, open),
	} {
		c.Flags().SortFlags = false
		c.DisableFlagsInUseLine = true
		cmd.AddCommand(c)
	}
	return cmd
}

// autoCommand is one below auto that takes no arguments.
func autoCommand(help readerHelp, run func(cmd *cobra.Command) error) *cobra.Command {
	return &cobra.Command{
		Use: help.use + " [flags]", Short: help.short, Long: help.long, Example: help.example,
		Args: cli.Exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd) },
	}
}

// autoConfig is the running host's; automatic updates are of no other sysroot.
func autoConfig(env *cli.Env, o *hostOptions, root bool) (osupdate.Config, error) {
	cfg := backends.System(os.Getuid(), hostProgress(env), env.Newer)
	switch {
	case o.sysroot != "":
		return cfg, fail.New(fail.Usage, "automatic updates are of the running host, not of --sysroot %s", o.sysroot).Hint("leave --sysroot out")
	case root && os.Geteuid() != 0:
		return cfg, fail.New(osupdate.ErrPermission, "automatic updates are the administrator's to change").Hint("run it with sudo")
	}
	return cfg, nil
}

func autoOn(env *cli.Env, o *hostOptions) *cobra.Command {
	var reboot string
	var takeOver bool
	cmd := autoCommand(readerHelp{"on", "Switch automatic updates on",
		`Switch automatic updates on. Where another program updates this host already, it is
left alone, unless --take-over masks its unit; tbx host auto off gives it back.`,
		"  sudo tbx host auto on\n  sudo tbx host auto on --reboot idle\n  sudo tbx host auto on --take-over"},
		func(cmd *cobra.Command) error {
			w, cfg, err := autoSwitch(env, o)
			if err != nil {
				return err
			}
			if _, err := osupdate.Open(cfg); err != nil { // a host that is not image-based
				return err
			}
			if err := w.On(cmd.Context(), auto.Reboot(reboot), takeOver); err != nil {
				return err
			}
			return printAuto(cmd.Context(), env, o)
		})
	cmd.Flags().StringVar(&reboot, "reboot", "",
		"restart by `POLICY`: never, idle, window, fleet-lock or immediate (default: as the settings say)")
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "mask the unit of another program that updates this host")
	words := make([]string, 0, len(auto.Reboots()))
	for _, r := range auto.Reboots() {
		words = append(words, string(r))
	}
	cmd.RegisterFlagCompletionFunc("reboot", cli.Words(words...))
	return cmd
}

func autoOff(env *cli.Env, o *hostOptions, open auto.OpenFleet) *cobra.Command {
	return autoCommand(readerHelp{"off", "Switch automatic updates off",
		"Switch automatic updates off, and give the host back to the program that it was taken over from.", "  sudo tbx host auto off"},
		func(cmd *cobra.Command) error {
			w, cfg, err := autoSwitch(env, o)
			if err != nil {
				return err
			}
			if err := w.Off(cmd.Context()); err != nil {
				return err
			}
			if err := leaveFleet(cmd.Context(), cfg, open); err != nil {
				env.Progress().Warn("this host may still hold a slot of its fleet's lock: "+err.Error(), "free it at the server")
			}
			fmt.Fprintln(env.Out, "Automatic updates are switched off")
			return nil
		})
}

// leaveFleet gives back what this host may hold of its fleet's lock.
func leaveFleet(ctx context.Context, cfg osupdate.Config, open auto.OpenFleet) error {
	s, _, err := auto.Load(auto.SettingsFiles(cfg.Root))
	if err != nil || s.Fleet.Lock == "" {
		return err
	}
	f, err := open(s.Fleet, cfg.Root)
	if err != nil {
		return err
	}
	return auto.GiveBack(ctx, cfg.StateDir, f)
}

func autoSwitch(env *cli.Env, o *hostOptions) (*auto.Switch, osupdate.Config, error) {
	cfg, err := autoConfig(env, o, true)
	if err != nil {
		return nil, cfg, err
	}
	self, err := programs.Front()
	return &auto.Switch{Root: cfg.Root, Dir: cfg.StateDir, Tools: cfg.Tools, Program: self}, cfg, err
}

func autoStatus(env *cli.Env, o *hostOptions) *cobra.Command {
	cmd := autoCommand(readerHelp{"status", "Show what automatic updates do",
		"Show in two lines what automatic updates do; with --format json the memory and every setting with its origin.",
		"  tbx host auto status\n  tbx host auto status --format json | jq .settings"},
		func(cmd *cobra.Command) error { return printAuto(cmd.Context(), env, o) })
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

func autoExplain(env *cli.Env, o *hostOptions) *cobra.Command {
	return autoCommand(readerHelp{"explain", "Say what automatic updates do next, and why",
		"Say in sentences what automatic updates do next, when, and what they wait for.", "  tbx host auto explain"},
		func(cmd *cobra.Command) error {
			now := time.Now()
			v, s, err := lookAuto(cmd.Context(), env, o, now)
			if err != nil {
				return err
			}
			for _, line := range v.Explain(s, now) {
				fmt.Fprintln(env.Out, escape.Text(line))
			}
			return nil
		})
}

// lookAuto reads what people are told; on a host that is not image-based it is an error.
func lookAuto(ctx context.Context, env *cli.Env, o *hostOptions, now time.Time) (*auto.View, *auto.Settings, error) {
	cfg, err := autoConfig(env, o, false)
	if err == nil {
		_, err = osupdate.Open(cfg)
	}
	if err != nil {
		return nil, nil, err
	}
	return auto.Look(ctx, cfg.Root, cfg.StateDir, auto.SystemBus{}, now)
}

// printAuto prints the two lines.
func printAuto(ctx context.Context, env *cli.Env, o *hostOptions) error {
	v, _, err := lookAuto(ctx, env, o, time.Now())
	if err != nil {
		return err
	}
	return env.Print(o.format, v, func() error {
		for _, line := range v.Lines {
			fmt.Fprintln(env.Out, escape.Text(line))
		}
		return nil
	})
}

func autoPause(env *cli.Env, o *hostOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause [flags] [UNTIL]", Short: "Begin nothing new for a while",
		Long: `Begin nothing new until UNTIL: a date (2026-12-24), a date and time, or a duration (12h,
3d). Without it, for a week; never longer than 60 days. A new system that runs is still
looked after.`,
		Example: "  sudo tbx host auto pause\n  sudo tbx host auto pause 3d", Args: cli.AtMostOne, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := autoConfig(env, o, true)
			if err != nil {
				return err
			}
			until := time.Now().Add(7 * 24 * time.Hour)
			if len(args) > 0 {
				if until, err = auto.ParseUntil(args[0], time.Now()); err != nil {
					return err
				}
			}
			if time.Until(until) > longestOff {
				return fail.New(fail.Usage, "a pause ends after 60 days at most").Hint("to have none at all: tbx host auto off")
			}
			if err := auto.Pause(cfg.StateDir, until); err != nil {
				return err
			}
			fmt.Fprintf(env.Out, "Nothing new is begun until %s\n", until.Local().Format("Mon 2 January 15:04"))
			return nil
		},
	}
	return cmd
}

func autoResume(env *cli.Env, o *hostOptions) *cobra.Command {
	return autoCommand(readerHelp{"resume", "Go on after a pause or a stop",
		"End a pause; or let automatic updates go on that have stopped, after you have looked at the host.", "  sudo tbx host auto resume"},
		func(cmd *cobra.Command) error {
			cfg, err := autoConfig(env, o, true)
			if err != nil {
				return err
			}
			if err := auto.Resume(cfg.StateDir, time.Now()); err != nil {
				return err
			}
			return printAuto(cmd.Context(), env, o)
		})
}
