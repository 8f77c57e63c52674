package bridge

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// NewShim returns `tbx shim` with its subcommands.
func NewShim(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shim",
		Short: "Choose host commands that toolboxes can call by name",
		Long: `Choose host commands that toolboxes can call by their name. They come last in a
toolbox's PATH: its own commands come first. The policy decides whether they may run, see
tbx policy. A change takes effect at once, in every toolbox.`,
		Example: "  tbx shim list\n  tbx shim add docker",
		Args:    cli.UnknownCommand,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	atLeastOne := func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fail.New(fail.Usage, "%s needs the name of a command", cmd.CommandPath()).Hint("usage: %s", cmd.UseLine())
		}
		return nil
	}
	cmd.AddCommand(
		newShimList(env),
		&cobra.Command{
			Use: "add NAME...", Short: "Add shims", Long: "Let toolboxes call host commands by name.", Example: "  tbx shim add docker virsh",
			Args: atLeastOne, ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(_ *cobra.Command, args []string) error {
				return withShims(env, func(s hostbridge.Shims) error { return s.Add(args...) })
			},
		},
		&cobra.Command{
			Use: "remove NAME...", Short: "Remove shims",
			Long:    "Stop toolboxes from calling host commands by name.",
			Example: "  tbx shim remove systemctl",
			Args:    atLeastOne,
			RunE: func(_ *cobra.Command, args []string) error {
				return withShims(env, func(s hostbridge.Shims) error { return s.Remove(args...) })
			},
			ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				var names []string
				withShims(env, func(s hostbridge.Shims) (err error) { names, err = s.List(); return err })
				return names, cobra.ShellCompDirectiveNoFileComp
			},
		},
	)
	for _, c := range cmd.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

// shimRow is one shim in the output of shim list; docs/schema/shim-list.json.
type shimRow struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"` // of the command on the host; missing: the host does not have it
}

func newShimList(env *cli.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the shims",
		Long:    "List the host commands that toolboxes can call by name.",
		Example: "  tbx shim list",
		Args:    cli.Exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return withShims(env, func(s hostbridge.Shims) error {
				names, err := s.List()
				if err != nil {
					return err
				}
				rows := make([]shimRow, 0, len(names))
				for _, name := range names {
					row := shimRow{Name: name}
					if p, err := hostbridge.Resolve(name, hostbridge.SystemPath); err == nil {
						row.Path = p.Real
					}
					rows = append(rows, row)
				}
				return env.Print(format, rows, func() error {
					for _, name := range names {
						fmt.Fprintln(env.Out, name)
					}
					return nil
				})
			})
		},
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

// withShims calls do with the shims; without the user's choice, these are the default
// ones.
func withShims(e *cli.Env, do func(hostbridge.Shims) error) error {
	m, err := e.Manager()
	if err != nil {
		return err
	}
	box, err := m.InstallBox()
	if err != nil {
		return err
	}
	s := hostbridge.Shims{Dir: toolbox.HostShimDir(m.Host), Box: box}
	if err := s.Refresh(); err != nil {
		return err
	}
	return do(s)
}
