package declared

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/provision/converge"
)

// howFlags are what plan and apply have in common.
type howFlags struct{ converge.Options }

func (o *howFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.Adopt, "adopt", false, "take over toolboxes of these names that were not made from the file")
	f.BoolVar(&o.Prune, "prune", false, "remove toolboxes that were made from the file and are in it no more")
	f.BoolVar(&o.Update, "update", false, "make new toolboxes from what registries have now, not from what the lock file says")
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
		Long: `Show what tbx apply would do to bring toolboxes to what a file declares. Nothing is
changed or started.

Without FILE it is the tbx.toml of the project that you are in: in this directory, or the
nearest one above. What is in a toolbox is taken from what tbx apply has recorded of it.

The format of the file is in docs/apply.md.`,
		Example: `  tbx plan
  tbx plan ~/boxes.toml
  tbx plan --exit-code || echo "there is something to do"
  tbx plan --format json | jq '.toolboxes[].action'`,
		Args: atMostOne,
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
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
	cli.SetExitGroup(cmd, cli.ExitPlan)
	o.add(cmd)
	cmd.Flags().BoolVar(&o.exitCode, "exit-code", false, "end with 23 if there is something to do, and with 0 if not")
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

// prepared reads the declaration that args names and returns what brings it about. trusted
// says that one that was found must have been allowed.
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
