package box

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/toolbox"
)

// NewClone returns `tbx clone`; snapshots completes the names of a toolbox's snapshots.
func NewClone(env *fetch.Env, snapshots func(name string) cobra.CompletionFunc) *cobra.Command {
	o := toolbox.CloneOptions{}
	var format cli.Format
	cmd := &cobra.Command{
		Use:         "clone [flags] NAME NEW",
		Annotations: cli.Quietly(),
		Short:       "Make a copy of a toolbox",
		Long: `Make a copy of a toolbox: with its settings and with everything installed and changed
in it. The original may be running; it stands still for a moment. With --snapshot the
copy starts from that snapshot.

A shared home stays shared: yours, or the directory that the original got by --home,
unless --home names another one here. An isolated toolbox gets an empty private home.
--with-home copies the files of the original's own home.

The policy of host commands treats the copy as a new toolbox: rules for the original's
name do not apply to it.`,
		Example: `  tbx clone build try-llvm
  tbx clone --snapshot before-llvm build old-build
  tbx clone --home ~/boxes/second --with-home work second`,
		Args:              cli.Exactly(2, "the name of a toolbox and a name for the copy"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runClone(cmd.Context(), env, args, o, format) },
		ValidArgsFunction: cli.OnlyFirst(env.CompleteToolboxes),
	}
	f := cmd.Flags()
	snapshotFlag(cmd, &o.Snapshot, "start from this `SNAPSHOT` of the toolbox", snapshots)
	f.StringVar(&o.Hostname, "hostname", "", "a host `NAME` of its own, instead of the original's")
	f.StringVar(&o.Home, "home", "", "use this `DIRECTORY` of the host as the home, instead of the original's")
	f.BoolVar(&o.WithHome, "with-home", false, "copy the files of the original's own home")
	cli.FormatFlag(cmd, &format)
	cmd.RegisterFlagCompletionFunc("home", cli.Directories)
	cli.NoCompletion(cmd, "hostname")
	return cmd
}

func runClone(ctx context.Context, env *fetch.Env, args []string, o toolbox.CloneOptions, format cli.Format) error {
	name, err := toolbox.ParseName(args[0])
	if err != nil {
		return err
	}
	if o.Name, err = toolbox.ParseName(args[1]); err != nil {
		return err
	}
	if o.Snapshot != "" {
		if o.Snapshot, err = toolbox.ParseSnapshotName(o.Snapshot); err != nil {
			return err
		}
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	if err := p.Clone(ctx, name, o); err != nil {
		return err
	}
	return printMade(ctx, env, p.Toolboxes, o.Name, format)
}
