package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/config"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/backends"
	"github.com/tbx-project/tbx/osupdate/privileged"
	"github.com/tbx-project/tbx/toolbox"
)

// hostOptions are the flags of every command below `tbx host`.
type hostOptions struct {
	sysroot string
	os      string
	elevate string
	format  cli.Format
}

// Commands makes the commands below `tbx host`: All or StatusOnly.
type Commands func(env *cli.Env, o *hostOptions) []*cobra.Command

// All returns every command of the host. open makes the clients of a fleet's servers.
func All(open auto.OpenFleet) Commands {
	return func(env *cli.Env, o *hostOptions) []*cobra.Command {
		return append(append(hostReaders(env, o), hostChangers(env, o)...), hostAuto(env, o, open))
	}
}

// StatusOnly returns the status command, which asks nobody and changes nothing.
func StatusOnly(env *cli.Env, o *hostOptions) []*cobra.Command {
	return []*cobra.Command{hostStatus(env, o)}
}

// New returns `tbx host` with those commands.
func New(env *cli.Env, commands Commands) *cobra.Command {
	o := &hostOptions{}
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Update the host, and roll it back",
		Long: `The host stays read-only; tbx host moves it to the next image and back. It finds the
updater that booted the running system (ostree, rpm-ostree, bootc, systemd-sysupdate,
ABRoot, transactional-update and others) and works through it. Every change is planned
first, and its result checked afterwards.`,
		Example: "  tbx host status\n  tbx host upgrade --dry-run\n  tbx host rollback",
		Args:    cli.UnknownCommand,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cli.SetExitGroup(cmd, cli.ExitHost)
	f := cmd.PersistentFlags()
	f.StringVar(&o.sysroot, "sysroot", "", "manage the OSTree sysroot in `DIR` instead of the running host")
	f.StringVar(&o.os, "os", "", "the stateroot `NAME` in that sysroot, if it has several")
	f.StringVar(&o.elevate, "elevate", "",
		"become root by `METHOD`: auto, pkexec, run0, sudo or none (default: host.elevate of the configuration)")
	cmd.RegisterFlagCompletionFunc("sysroot", cli.Directories)
	cmd.RegisterFlagCompletionFunc("os", stateroots(o))
	cmd.RegisterFlagCompletionFunc("elevate", cli.Words(config.Elevations()...))
	cmd.AddCommand(commands(env, o)...)
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

// openHost opens the host with the configuration of an ordinary user's tbx, or of root's.
func openHost(env *cli.Env, o *hostOptions) (*osupdate.Host, error) {
	env.CatchSignals()
	cfg, err := hostConfig(env, o)
	if err != nil {
		return nil, err
	}
	return osupdate.Open(cfg)
}

func hostConfig(env *cli.Env, o *hostOptions) (osupdate.Config, error) {
	cfg := backends.System(asker(env), hostProgress(env), env.Newer)
	if os.Geteuid() != 0 {
		if err := asUser(env, o, &cfg); err != nil {
			return cfg, err
		}
	}
	if o.os != "" && o.sysroot == "" {
		return cfg, fail.New(fail.Usage, "--os needs --sysroot; the running host knows its own stateroot")
	}
	if o.sysroot != "" {
		dir, err := filepath.Abs(o.sysroot)
		if err != nil {
			return cfg, err
		}
		cfg.Sysroot, cfg.OS, cfg.Superuser, cfg.Elevate = dir, o.os, true, nil
	}
	cfg.Output = env.Progress().Line
	cfg.Trace = func(event string) { env.Log.Debug("host: " + event) }
	cfg.Tools.Log = func(argv []string, code int, took time.Duration) {
		env.Log.Debugf("host: %s ended with %d after %s", cli.Quoted(argv), code, took.Round(time.Millisecond))
	}
	return cfg, nil
}

// asUser sets the parts of cfg that an ordinary user may have and root may not. An
// ordinary user's tools are found by PATH; the program that becomes root, and root's
// programs, never are.
func asUser(env *cli.Env, o *hostOptions, cfg *osupdate.Config) error {
	user, err := toolbox.LookAtHost(env.Environ)
	if err != nil {
		return err
	}
	dirs := user.Dirs
	cfg.Superuser, cfg.HistoryIn = false, []string{cfg.StateDir}
	cfg.StateDir, cfg.LockPath = filepath.Join(dirs.State, "host"), filepath.Join(user.TbxRuntime(), "host.lock")
	cfg.NewBackend = backends.New(filepath.Join(dirs.Cache, "host"), env.Newer)
	cfg.Tools.Env = env.Environ
	cfg.Tools.Dirs = nil
	for _, d := range filepath.SplitList(env.Getenv("PATH")) {
		if filepath.IsAbs(d) {
			cfg.Tools.Dirs = append(cfg.Tools.Dirs, d)
		}
	}
	cfg.Tools.Dirs = append(cfg.Tools.Dirs, osupdate.SystemDirs()...)
	if cli.IsTerminal(env.In) {
		cfg.Tools.Stdin = env.In // rpm-ostree asks polkit's questions on it
	}
	method := o.elevate
	if method == "" {
		c, err := config.Load("/etc/tbx/config.toml", filepath.Join(dirs.Config, "config.toml"))
		if err != nil {
			return err
		}
		method = c.Host.Elevate
	} else if !slices.Contains(config.Elevations(), method) {
		return fail.New(fail.Usage, "--elevate %s: it must be one of %s", escape.Quote(method), strings.Join(config.Elevations(), ", "))
	}
	self, err := programs.Front() // the path that polkit's actions are for
	if err != nil {
		return err
	}
	cfg.Elevate = &privileged.Caller{Self: self, Method: privileged.Method(method), Dirs: osupdate.SystemDirs(), Stdin: env.In,
		Stderr: env.Err}
	return nil
}
