package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/toolbox"
)

func newRollback(env *fetch.Env) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:         "rollback [flags] NAME SNAPSHOT",
		Annotations: cli.Quietly(),
		Short:       "Make a toolbox what it was at a snapshot",
		Long: `Make a toolbox what it was at a snapshot, at once: nothing is copied. What it is
now becomes the snapshot before-rollback, in the place of the one that is gone back
to, and stays until the next rollback. So the way back is the same command:

    tbx snapshot rollback NAME before-rollback

To have the snapshot and the toolbox both, clone it: tbx clone --snapshot.

Settings, such as volumes and variables, stay what they are today; it is said which of
them were others then. A toolbox in which nobody works is stopped and started again.
One that is used is left alone, unless with --force.`,
		Example:           "  tbx snapshot rollback build before-llvm",
		Args:              cli.Exactly(2, "the name of a toolbox and of a snapshot"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRollback(cmd.Context(), env, args, force) },
		ValidArgsFunction: complete(env),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "end what runs in the toolbox")
	return cmd
}

func runRollback(ctx context.Context, env *fetch.Env, args []string, force bool) error {
	m, name, err := named(env, args[0])
	if err != nil {
		return err
	}
	snapshot, err := toolbox.ParseSnapshotName(args[1])
	if err != nil {
		return err
	}
	changed, err := m.Rollback(ctx, name, snapshot, force)
	if err != nil {
		return err
	}
	env.Progress().Close()
	fmt.Fprintf(env.Out, "Toolbox %s is what it was at snapshot %s.\n", name, snapshot)
	fmt.Fprintf(env.Out, "What it was until now is kept; go back to it with: tbx snapshot rollback %s %s\n", name, toolbox.BeforeRollback)
	if len(changed) > 0 {
		fmt.Fprintf(env.Out, "Its settings stay those of today; others then: %s\n", strings.Join(changed, ", "))
	}
	return nil
}
