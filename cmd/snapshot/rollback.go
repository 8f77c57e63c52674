package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/toolbox"
)

func newRollback(env *fetch.Env) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rollback [flags] NAME SNAPSHOT",
		Short: "Return a toolbox to a snapshot",
		Long: `Return a toolbox to a snapshot, at once: nothing is copied. The present contents become
the snapshot before-rollback, in place of the one that you return to, and stay until the
next rollback. So the same command leads back:

  tbx snapshot rollback NAME before-rollback

To have both the snapshot and the toolbox, clone it: tbx clone --snapshot.

Settings, such as volumes and variables, stay as they are today; tbx tells which of them
were different then. A toolbox that nobody works in is stopped and started again. One
that is in use is left alone, unless you give --force.`,
		Example: "  tbx snapshot rollback build before-llvm",
		RunE:    func(cmd *cobra.Command, args []string) error { return runRollback(cmd.Context(), env, args, force) },
	}
	ofSnapshot(env, cmd)
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
	fmt.Fprintf(env.Out, "Toolbox %s has the contents of snapshot %s again.\n", name, snapshot)
	fmt.Fprintf(env.Out, "The contents until now are kept; return to them with: tbx snapshot rollback %s %s\n", name, toolbox.BeforeRollback)
	if len(changed) > 0 {
		fmt.Fprintf(env.Out, "Its settings stay as they are today; these were different then: %s\n", strings.Join(changed, ", "))
	}
	return nil
}
