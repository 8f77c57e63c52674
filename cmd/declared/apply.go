package declared

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

type applyOptions struct {
	howFlags
	fetch.Flags
}

// NewApply returns `tbx apply`.
func NewApply(env *fetch.Env) *cobra.Command {
	o := &applyOptions{}
	cmd := &cobra.Command{
		Use:   "apply [flags] [FILE]",
		Short: "Bring toolboxes to what a file declares",
		Long: `Bring toolboxes to what a file declares, and keep everything in them. apply first shows
its steps, as tbx plan does, and asks.

A missing toolbox is made. For an existing one, apply changes settings as tbx edit does,
installs packages, removes packages that it installed before, writes files, and runs
commands that have not run yet. It keeps a snapshot first. A change of the image is asked
about separately: the toolbox is made anew, and the old one is kept under another name.
If apply fails half-way, the next call continues.

A toolbox that was not made from the file is not touched, unless --adopt takes it over. A
toolbox that was made from the file and is no longer in it stays, unless --prune removes
it.

Without FILE, tbx takes the tbx.toml of the project that you are in, which you must have
allowed with tbx allow. The format of the file is in docs/apply.md.`,
		Example: `  tbx apply
  tbx apply ~/boxes.toml
  tbx apply --yes --prune ~/boxes.toml`,
		RunE: func(cmd *cobra.Command, args []string) error { return runApply(cmd.Context(), env, o, args) },
	}
	ofFile(cmd)
	o.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.NoSnapshot, "no-snapshot", false, "keep no snapshot of toolboxes that are changed")
	f.BoolVar(&o.Force, "force", false, "end what runs in toolboxes that must be stopped for a change")
	f.BoolVar(&o.WhenIdle, "when-idle", false, "change the settings of busy toolboxes when they stop or start")
	o.Flags.Add(cmd, images.PullMissing)
	return cmd
}

func runApply(ctx context.Context, env *fetch.Env, o *applyOptions, args []string) error {
	if o.Force && o.WhenIdle {
		return fail.New(fail.Usage, "--force and --when-idle exclude each other")
	}
	o.Options.Fetch = o.Flags.Fetch
	if err := o.Options.Fetch.Check(); err != nil {
		return err
	}
	f, c, err := prepared(env, args, true)
	if err != nil {
		return err
	}
	lock, err := c.Lock(f)
	if err != nil {
		return err
	}
	defer lock.Close()
	p, err := c.Plan(ctx, f, o.Options)
	if err != nil {
		return err
	}
	if err := p.Refusal(); err != nil {
		return err
	}
	env.Progress().Close()
	if !p.Changes() {
		printPlan(env.Out, p)
		return c.Apply(ctx, f, p, o.Options) // the lock file may be missing
	}
	printPlan(env.Err, p)
	if err := env.Ask("Do this?"); err != nil {
		return err
	}
	err = c.Apply(ctx, f, p, o.Options)
	env.Progress().Close()
	return err
}

// ask prints lines, and asks a question about them.
func ask(env *fetch.Env, question string, about []string) error {
	env.Progress().Close()
	for _, line := range about {
		fmt.Fprintln(env.Err, escape.Text(line))
	}
	return env.Ask(question)
}

// say prints a step that was done.
func say(env *fetch.Env, text string) {
	env.Progress().Close()
	fmt.Fprintln(env.Out, escape.Text(text))
}
