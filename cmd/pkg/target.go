package pkg

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// target is a toolbox with its package manager.
type target struct {
	*packages.System
	env  *fetch.Env
	box  *toolbox.Box
	name toolbox.Name
}

// open starts the toolbox if it does not run, and asks it for its package manager.
func open(ctx context.Context, env *fetch.Env, b *toolbox.Box, quiet time.Duration, said func(string)) (*target, error) {
	t := &target{env: env, box: b, name: b.Name}
	s, err := packages.Open(ctx, env.RunnerIn(b.Name, b.Isolated()))
	if err != nil {
		return nil, errors.Join(in(b.Name, err), t.rest(ctx))
	}
	s.Silence, s.Said = quiet, said
	t.System = s
	return t, nil
}

// where has the flags that choose the toolbox of a package command.
type where struct {
	toolbox string
	quiet   time.Duration
}

func (w *where) flags(env *fetch.Env, cmd *cobra.Command) {
	cmd.Flags().StringVarP(&w.toolbox, "toolbox", "c", "", "the toolbox's `NAME`; default: the one that tbx enter takes")
	cmd.RegisterFlagCompletionFunc("toolbox", env.CompleteToolboxes)
	cli.TimeoutFlag(cmd, &w.quiet)
}

// ofToolboxes completes a command about the packages of several toolboxes.
func ofToolboxes(env *fetch.Env, cmd *cobra.Command, quiet *time.Duration, format *cli.Format) {
	cmd.Annotations = cli.Quietly()
	cmd.ValidArgsFunction = env.CompleteToolboxes
	cli.TimeoutFlag(cmd, quiet)
	cli.FormatFlag(cmd, format)
}

// box returns the chosen toolbox.
func (w *where) box(ctx context.Context, env *fetch.Env) (*toolbox.Box, error) {
	if err := cli.CheckTimeout(w.quiet); err != nil {
		return nil, err
	}
	return one(ctx, env, w.toolbox)
}

// in adds the toolbox's name to an error, and keeps its hints.
func in(name toolbox.Name, err error) error {
	if err == nil {
		return nil
	}
	return fail.Wrap(nil, err, "toolbox %s", name)
}

// rest stops the toolbox again if it did not run before and nobody uses it now.
func (t *target) rest(ctx context.Context) error {
	if t.box.State == toolbox.Running {
		return nil
	}
	m, err := t.env.Manager()
	if err != nil {
		return err
	}
	return m.StopIdle(context.WithoutCancel(ctx), t.name)
}

// one returns the named toolbox, or the default one.
func one(ctx context.Context, env *fetch.Env, name string) (*toolbox.Box, error) {
	m, err := env.Manager()
	if err != nil {
		return nil, err
	}
	n, err := env.Toolbox(ctx, m, name)
	if err != nil {
		return nil, err
	}
	return m.Find(ctx, n)
}

// line shows a line of a package manager's output on the terminal, below the present
// step.
func line(env *fetch.Env, what string) func(string) {
	return func(text string) { env.Progress().Update(what, "  "+cli.Shorten(text)) }
}
