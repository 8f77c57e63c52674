package declared

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/provision/converge"
)

// howFlags are the flags that plan and apply share.
type howFlags struct{ converge.Options }

func (o *howFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.Adopt, "adopt", false, "take over toolboxes with these names that were not made from the file")
	f.BoolVar(&o.Prune, "prune", false, "remove toolboxes that were made from the file and are no longer in it")
	f.BoolVar(&o.Update, "update", false, "make new toolboxes from the registries' present images, not from those of the lock file")
}

// NewPlan returns `tbx plan`.
func NewPlan(env *fetch.Env) *cobra.Command {
	o := &struct {
		howFlags
		exitCode bool
		format   cli.Format
	}{}
	cmd := &cobra.Command{
		Use:   "plan [flags] [FILE]",
		Short: "Show what tbx apply would do",
		Long: `Show the steps of tbx apply, to bring toolboxes to what a file declares. Nothing is
changed or started.

Without FILE, tbx takes the tbx.toml of the project that you are in: in this directory, or
the nearest one above. plan knows the contents of a toolbox from the records of tbx apply.

The format of the file is in docs/apply.md.`,
		Example: `  tbx plan
  tbx plan ~/boxes.toml
  tbx plan --exit-code || echo "there is something to do"
  tbx plan --format json | jq '.toolboxes[].action'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, c, err := prepared(env, args, false)
			if err != nil {
				return err
			}
			p, err := c.Plan(cmd.Context(), f, o.Options)
			if err != nil {
				return err
			}
			if err := env.Print(o.format, p, func() error { printPlan(env.Out, p); return nil }); err != nil {
				return err
			}
			if err := p.Refusal(); err != nil {
				return err
			}
			if o.exitCode && p.Changes() {
				return cli.Exit(cli.ExitChanges)
			}
			return nil
		},
	}
	ofFile(cmd)
	cli.SetExitGroup(cmd, cli.ExitPlan)
	o.add(cmd)
	cmd.Flags().BoolVar(&o.exitCode, "exit-code", false, "end with 23 if there is something to do, and with 0 if not")
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

// prepared reads the declaration that args names, and returns the converger for it. With
// trusted, a declaration that tbx found must have been allowed.
func prepared(env *fetch.Env, args []string, trusted bool) (*declare.File, *converge.Converger, error) {
	p, err := env.Provisioner()
	if err != nil {
		return nil, nil, err
	}
	s, err := open(env, args, true)
	if err == nil && trusted {
		err = s.permit(env)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := s.parse(env)
	if err != nil {
		return nil, nil, err
	}
	return f, &converge.Converger{
		Provisioner: p, Inside: env.RunnerIn,
		Ask:  func(question string, about []string) error { return ask(env, question, about) },
		Done: func(text string) { say(env, text) },
	}, nil
}
