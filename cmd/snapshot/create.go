package snapshot

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// asked is the reason if the user gives none.
const asked = "asked for"

func newCreate(env *fetch.Env) *cobra.Command {
	var reason string
	var format cli.Format
	cmd := &cobra.Command{
		Use:         "create [flags] NAME [SNAPSHOT]",
		Annotations: cli.Quietly(),
		Short:       "Keep the present contents of a toolbox",
		Long: `Keep the present contents of a toolbox. Without a name, the snapshot is named by the time.

The files are copied: at once and without taking room if the file system can share them
(btrfs, xfs), else as fast as the disk. tbx shows how much there is to copy and how far
it is. A running toolbox keeps running meanwhile; at the end it stands still while tbx
copies the last changes, so that all files are of one moment. A toolbox without a cgroup,
as without a systemd user session, cannot be made to stand still: it must not change
files while the end is copied.`,
		Example: "  tbx snapshot create build\n  tbx snapshot create --reason 'works with gcc 14' build gcc14",
		Args:    toolboxAndMaybe,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCreate(cmd.Context(), env, args, reason, format)
		},
		ValidArgsFunction: cli.OnlyFirst(env.CompleteToolboxes),
	}
	cmd.Flags().StringVar(&reason, "reason", asked, "`REASON` to show in the list")
	cli.FormatFlag(cmd, &format)
	cli.NoCompletion(cmd, "reason")
	return cmd
}

func toolboxAndMaybe(cmd *cobra.Command, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fail.New(fail.Usage, "%s needs the name of a toolbox, and at most one for the snapshot", cmd.CommandPath()).
			Hint("usage: %s", cmd.UseLine())
	}
	return nil
}

func runCreate(ctx context.Context, env *fetch.Env, args []string, reason string, format cli.Format) error {
	m, name, err := named(env, args[0])
	if err != nil {
		return err
	}
	o := toolbox.SnapshotOptions{Reason: reason}
	if len(args) == 2 {
		if o.Name, err = toolbox.ParseSnapshotName(args[1]); err != nil {
			return err
		}
	}
	s, err := m.Snapshot(ctx, name, o)
	if err != nil {
		return err
	}
	return env.Print(format, rowOf(s, map[string]string{s.ToolboxID: string(name)}), func() error {
		_, err := fmt.Fprintf(env.Out, "Made snapshot %s of toolbox %s: %s in %s\nGo back to it with: tbx snapshot rollback %s %s\n",
			s.Name, name, bytesize.Text(s.Bytes), cli.Plural(int(s.Entries), "file"), name, s.Name)
		return err
	})
}
