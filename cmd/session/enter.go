package session

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/companion"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/inherited"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
)

// NewEnter returns `tbx enter`.
func NewEnter(env *cli.Env, choose Chooser, maker Maker) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:         "enter [flags] [NAME]",
		Annotations: cli.Quietly(),
		Short:       "Open a shell in a toolbox",
		Long: `Open your login shell in a toolbox, in the directory where you are.

The toolbox is started if it does not run. Without a name, tbx takes the toolbox of the
project that you are in, if its tbx.toml declares one and you have allowed it with tbx
allow; else the configured one, or the only one. If there is none, tbx offers to make one.

With --ephemeral, tbx makes a toolbox for this shell, with any options of tbx create, and
removes it with everything in it when the shell ends, in whatever way it ends.

The exit code is the shell's own, or 125 when tbx fails.`,
		Example: `  tbx enter
  tbx enter build
  tbx enter --root build
  tbx enter --ephemeral --distro fedora`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() >= 0 {
				return fail.New(fail.Usage, "tbx enter opens a shell and takes no command").Hint("to run a command: tbx run NAME -- COMMAND")
			}
			return cli.AtMostOne(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if _, err := toolbox.ParseName(args[0]); err != nil {
					return err
				}
				if o.toolbox != "" && o.toolbox != args[0] {
					return fail.New(fail.Usage, "two toolboxes are named: %s and %s", args[0], o.toolbox)
				}
				o.toolbox = args[0]
			}
			return o.run(cmd, env, choose, maker)
		},
	}
	o.addFlags(cmd, env, maker)
	return cmd
}

// options are the options that run and enter share.
type options struct {
	selector
	sessionFlags
	ephemeralFlags
	args []string // the command; nil: the login shell
}

func (o *options) addFlags(cmd *cobra.Command, env *cli.Env, maker Maker) {
	o.selector.flags(cmd)
	o.sessionFlags.flags(cmd)
	o.ephemeralFlags.flags(cmd, maker)
	cli.AsSession(env, cmd)
}

func (o *options) run(cmd *cobra.Command, env *cli.Env, choose Chooser, maker Maker) error {
	if err := o.check(cmd, &o.selector); err != nil {
		return err
	}
	if o.ephemeral {
		return runEphemeral(cmd, env, maker, o)
	}
	return runSession(cmd.Context(), env, choose, o)
}

// sessionFlags are the flags of a session.
type sessionFlags struct {
	env         []string
	workdir     string
	root        bool
	noTTY       bool
	pty         bool
	preserveFDs int
	bare        string // tbx called itself for this toolbox: the terminal is taken care of
}

func (s *sessionFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&s.env, "env", "e", nil, "set `NAME[=VALUE]`; without a value, pass the caller's; may be repeated")
	f.StringVarP(&s.workdir, "workdir", "w", "", "begin in this `DIRECTORY` of the toolbox")
	f.BoolVar(&s.root, "root", false, "be the toolbox's root")
	f.BoolVarP(&s.noTTY, "no-tty", "T", false, "give the command no terminal, even if there is one")
	f.BoolVar(&s.pty, "pty", false, "give the command a terminal of the toolbox, for programs that ask for its name")
	f.IntVar(&s.preserveFDs, "preserve-fds", 0, "pass `N` descriptors, from 3 on, to the command")
	f.StringVar(&s.bare, "bare", "", "")
	f.MarkHidden("bare")
}

// validate refuses impossible options.
func (s *sessionFlags) validate() error {
	if s.pty && s.noTTY {
		return fail.New(fail.Usage, "--pty and --no-tty exclude each other")
	}
	if s.preserveFDs < 0 {
		return fail.New(fail.Usage, "--preserve-fds %d: it must not be negative", s.preserveFDs)
	}
	for _, kv := range s.env {
		if kv == "" || kv[0] == '=' {
			return fail.New(fail.Usage, "--env %q does not name a variable", kv).Hint("write --env NAME=VALUE, or --env NAME to pass yours")
		}
	}
	return nil
}

// runSession becomes the command in the toolbox, or the login shell.
func runSession(ctx context.Context, env *cli.Env, choose Chooser, o *options) error {
	if err := o.validate(); err != nil {
		return err
	}
	m, err := env.Manager()
	if err != nil {
		return err
	}
	c, err := env.Config()
	if err != nil {
		return err
	}
	in := meant{name: toolbox.Name(o.bare)}
	if in.name == "" {
		if in, err = o.meant(ctx, env, choose, m, o.args); err != nil {
			return err
		}
	}
	name := in.name
	terminal := cli.IsTerminal(env.In) && cli.IsTerminal(env.Out)
	enters := o.args == nil && terminal
	set := o.env
	speaks := terminalSpeaks(env)
	if c.Terminal.Title && terminal && speaks {
		set = append([]string{"TBX_TITLE=1"}, set...)
	}
	s, err := m.Open(ctx, name, toolbox.SessionOptions{
		Args: o.args, Make: in.makes, Set: set, Block: c.Environment.Block, WorkDir: o.workdir, Root: o.root, PreserveFDs: o.preserveFDs,
		Terminal: terminal && !o.noTTY,
		Warn:     func(text string) { env.Progress().Warn(text, "") },
		Remark:   remark(env),
	})
	if o.args == nil || remark(env) != nil { // scripts read what a command says
		env.WarnOfProject(in.unused)
	}
	if err != nil {
		return err
	}
	env.Progress().Close()
	env.ReleaseSignals()
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case o.bare != "":
		bridge(ctx, env, m, s, enters)
		return s.Exec(ctx)
	case o.noTTY && (cli.IsTerminal(env.In) || cli.IsTerminal(env.Out) || cli.IsTerminal(env.Err)):
		return withoutTerminal(env, name)
	case o.pty && cli.IsTerminal(env.In) && !s.OwnTerminal():
		return s.BehindPTY(selfCommand(env, name))
	case enters && c.Terminal.Announce && speaks:
		if err := announce(env, m.BoxFile, name); err != nil { // no reason not to enter
			env.Log.Debugf("the terminal is told nothing: %v", err)
		}
	}
	bridge(ctx, env, m, s, enters)
	return s.Exec(ctx)
}

// terminalSpeaks reports whether the terminal understands escape sequences. expect(1) and
// a shell in Emacs do not, and say so in TERM, or have no TERM.
func terminalSpeaks(env *cli.Env) bool {
	switch env.Getenv("TERM") {
	case "", "dumb", "unknown":
		return false
	}
	return true
}

// remark returns a function that prints remarks to the terminal, or with --verbose
// elsewhere too. It returns nil if nobody would read them, so that they do not count as
// told.
func remark(env *cli.Env) func(text, hint string) {
	if env.Quiet || !env.Verbose && !cli.IsTerminal(env.Err) {
		return nil
	}
	return env.Progress().Remark
}

// announce tells the terminal that a shell in a toolbox begins, and later that it has
// ended, by VTE's extension 777: a new tab then opens in the same toolbox. A companion,
// the small tbx-box, reports the end, because this process becomes the shell. Where tbx
// leads the terminal's session, the companion comes before it instead, and the session is
// a second call of tbx.
func announce(env *cli.Env, boxFile string, name toolbox.Name) error {
	uid := strconv.Itoa(os.Getuid())
	push := "\033]777;container;push;" + string(name) + ";toolbox;" + uid + "\033\\"
	pop := "\033]777;container;pop;;;" + uid + "\033\\"
	if leader, err := unix.Getsid(0); err == nil && leader == os.Getpid() {
		self, err := programs.Front()
		if err != nil {
			return err
		}
		args := append([]string{"tbx-box", "session", push, pop, self}, again(os.Args[1:], name)...)
		return fmt.Errorf("%s: %w", boxFile, inherited.Become(boxFile, args, env.Environ))
	}
	if err := companion.Start(boxFile, []string{"tbx-box", "farewell", pop}, env.Out, nil, &syscall.SysProcAttr{Setpgid: true}); err != nil {
		return fmt.Errorf("%s: %w", boxFile, err)
	}
	_, err := env.Out.WriteString(push)
	return err
}
