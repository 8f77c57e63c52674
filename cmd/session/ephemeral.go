package session

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
)

// Maker makes toolboxes that are removed when their session ends. The program tbx has
// none: it does not know --ephemeral, and becomes tbx-podman for it.
type Maker interface {
	// Flags adds the flags that describe such a toolbox: those of tbx create that cmd
	// does not have yet.
	Flags(cmd *cobra.Command)
	// Make makes and starts one. distro and release come from the session's flags.
	Make(ctx context.Context, cmd *cobra.Command, distro, release string) (*toolbox.Ephemeral, error)
	// Ended is called after it was removed.
	Ended(name toolbox.Name)
}

// ephemeralFlags are the flags of a session in a toolbox of its own.
type ephemeralFlags struct {
	ephemeral bool
	making    []string // flags that Maker has added
}

func (o *ephemeralFlags) flags(cmd *cobra.Command, maker Maker) {
	if maker == nil {
		return
	}
	cmd.Flags().BoolVar(&o.ephemeral, "ephemeral", false,
		"make a toolbox for this session alone, with the options of tbx create, and remove it afterwards")
	known := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	maker.Flags(cmd)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !known[f.Name] {
			f.Hidden = true // they are in the help of tbx create
			o.making = append(o.making, f.Name)
		}
	})
}

// check refuses contradictory flags.
func (o *ephemeralFlags) check(cmd *cobra.Command, sel *selector) error {
	if o.ephemeral && sel.toolbox != "" {
		return fail.New(fail.Usage, "--ephemeral makes a new toolbox, and %s is named", sel.toolbox).
			Hint("leave out the name, or --ephemeral")
	}
	for _, name := range o.making {
		if cmd.Flags().Changed(name) && !o.ephemeral {
			return fail.New(fail.Usage, "--%s is for making a toolbox, and this one exists already", name).
				Hint("to make one for this session alone: --ephemeral").Hint("to make one that stays: tbx create --help")
		}
	}
	return nil
}

// runEphemeral runs a session in a toolbox that is made for it. The session is another
// call of tbx; this process stays to remove the toolbox.
func runEphemeral(cmd *cobra.Command, env *cli.Env, maker Maker, o *options) error {
	if err := o.validate(); err != nil {
		return err
	}
	ctx := cmd.Context()
	t, err := maker.Make(ctx, cmd, o.distro, o.release)
	if err != nil {
		return err
	}
	env.Progress().Close()
	env.ReleaseSignals()
	err = ctx.Err()
	if err == nil {
		err = toolbox.RunAndStay(sessionIn(env, t.Name, cmd.Name(), o))
	}
	env.CatchSignals() // an interruption must not leave half of it
	closed := t.Close(ctx)
	maker.Ended(t.Name)
	env.Progress().Close()
	var ended *toolbox.ExitError
	if errors.As(err, &ended) && closed != nil {
		env.Progress().Warn(closed.Error(), "end it with: tbx stop "+string(t.Name))
		return err // the caller wants the command's code
	}
	return errors.Join(err, closed)
}

// sessionIn returns the call of tbx that opens the session.
func sessionIn(env *cli.Env, name toolbox.Name, verb string, o *options) *exec.Cmd {
	self, err := programs.Front()
	if err != nil {
		self = os.Args[0]
	}
	words := []string{verb, "--toolbox=" + string(name)}
	for _, kv := range o.env {
		words = append(words, "--env="+kv)
	}
	if o.workdir != "" {
		words = append(words, "--workdir="+o.workdir)
	}
	for flag, set := range map[string]bool{"--root": o.root, "--no-tty": o.noTTY, "--pty": o.pty, "--verbose": env.Verbose} {
		if set {
			words = append(words, flag)
		}
	}
	if o.preserveFDs > 0 {
		words = append(words, "--preserve-fds="+strconv.Itoa(o.preserveFDs))
	}
	if o.args != nil {
		words = append(append(words, "--"), o.args...)
	}
	cmd := exec.Command(self, words...)
	cmd.Env = env.Environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.In, env.Out, env.Err
	return cmd
}
