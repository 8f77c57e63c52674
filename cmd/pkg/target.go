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

// open asks the toolbox for its package manager, and starts it where it does not run.
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

// where are the flags of the commands about packages of one toolbox.
type where struct {
	toolbox string
	quiet   time.Duration
}

func (w *where) flags(env *fetch.Env, cmd *cobra.Command) {
	cmd.Flags().StringVarP(&w.toolbox, "toolbox", "c", "", "the toolbox's `NAME`; yours by default, if you do not say")
	cmd.RegisterFlagCompletionFunc("toolbox", env.CompleteToolboxes)
	cli.TimeoutFlag(cmd, &w.quiet)
}

// box is the toolbox that is meant.
func (w *where) box(ctx context.Context, env *fetch.Env) (*toolbox.Box, error) {
	if err := cli.CheckTimeout(w.quiet); err != nil {
		return nil, err
	}
	return one(ctx, env, w.toolbox)
}

// in names the toolbox in an error, and keeps its hints.
func in(name toolbox.Name, err error) error {
	if err == nil {
		return nil
	}
	return fail.Wrap(nil, err, "toolbox %s", name)
}

// rest stops the toolbox again if it did not run before and nobody has begun to use it.
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

// one finds the toolbox that is named, or the one that is meant.
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

// line shows a line of a package manager's on the terminal, below what is going on.
func line(env *fetch.Env, what string) func(string) {
	return func(text string) { env.Progress().Update(what, "  "+cli.Shorten(text)) }
}
