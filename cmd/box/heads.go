package box

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
)

// ofToolbox completes a command about one toolbox: its argument, and the shell's
// completion of that.
func ofToolbox(env *cli.Env, cmd *cobra.Command) {
	cmd.Args = cli.Exactly(1, "the name of a toolbox")
	cmd.ValidArgsFunction = cli.OnlyFirst(env.CompleteToolboxes)
}

// ofToolboxes completes a command about the named toolboxes, or with --all about those
// that usage describes.
func ofToolboxes(env *cli.Env, cmd *cobra.Command, all *bool, usage string) {
	cmd.Annotations = cli.Quietly()
	cmd.Args = namesOr(all)
	cmd.ValidArgsFunction = env.CompleteToolboxes
	cmd.Flags().BoolVarP(all, "all", "a", false, usage)
}

// snapshotFlag adds --snapshot, for a snapshot of the toolbox that is the first argument.
// snapshots completes the names of a toolbox's snapshots.
func snapshotFlag(cmd *cobra.Command, value *string, usage string, snapshots func(name string) cobra.CompletionFunc) {
	cmd.Flags().StringVar(value, "snapshot", "", usage)
	cmd.RegisterFlagCompletionFunc("snapshot", func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return snapshots(args[0])(cmd, args, word)
	})
}
