package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

func newRemove(env *fetch.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:         "rm [flags] NAME SNAPSHOT...",
		Aliases:     []string{"remove"},
		Annotations: cli.Quietly(),
		Short:       "Remove snapshots of a toolbox",
		Long:        "Remove snapshots of a toolbox for good. tbx asks first. The toolbox and its other snapshots are untouched.",
		Example:     "  tbx snapshot rm build before-llvm",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fail.New(fail.Usage, "%s needs the name of a toolbox and of a snapshot", cmd.CommandPath()).
					Hint("tbx snapshot list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return cli.ForEach(env.Env, args[1:], func(snapshot string) error {
				m, s, err := one(cmd.Context(), env, []string{args[0], snapshot})
				if err != nil {
					return err
				}
				question := fmt.Sprintf("Remove snapshot %s of toolbox %s, made %s?", s.Name, args[0], cli.Ago(time.Since(s.Created)))
				if err := env.Ask(question); err != nil {
					return err
				}
				return m.RemoveSnapshot(cmd.Context(), s)
			})
		},
		ValidArgsFunction: complete(env),
	}
	return cmd
}

type pruneOptions struct {
	last, days int
	size       string
	dryRun     bool
	format     cli.Format
}

func newPrune(env *fetch.Env) *cobra.Command {
	o := &pruneOptions{}
	cmd := &cobra.Command{
		Use:   "prune [flags] [NAME]",
		Short: "Remove old snapshots",
		Long: `Remove old snapshots of a toolbox, or of all toolboxes: those beyond the number, the age
or the size that the flags set, or [snapshots] in the settings. The limits are for each
toolbox. tbx shows the snapshots and asks first. The newest before-rollback stays, and is
removed by the next rollback. Snapshots of removed toolboxes count as old. Leftovers of
interrupted snapshots are removed too.`,
		Example: "  tbx snapshot prune --dry-run\n  tbx snapshot prune --keep-last 3 build",
		RunE:    func(cmd *cobra.Command, args []string) error { return runPrune(cmd, env, args, o) },
	}
	ofOneOrAll(env, cmd)
	f := cmd.Flags()
	f.IntVar(&o.last, "keep-last", 0, "keep `N` of the newest; 0: no limit")
	f.IntVar(&o.days, "keep-days", 0, "keep none older than this `NUMBER` of days; 0: no limit")
	f.StringVar(&o.size, "max-size", "", "keep the newest, up to this `SIZE` together, such as 20g; 0: no limit")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be removed, and do nothing")
	cli.FormatFlag(cmd, &o.format)
	cli.NoCompletion(cmd, "keep-last", "keep-days", "max-size")
	return cmd
}

// retention returns the limits of the settings, or of the flags if any is given.
func (o *pruneOptions) retention(cmd *cobra.Command, env *fetch.Env) (toolbox.Retention, error) {
	c, err := env.Config()
	if err != nil {
		return toolbox.Retention{}, err
	}
	last, days, size, what := c.Snapshots.KeepLast, c.Snapshots.KeepDays, c.Snapshots.MaxSize, "[snapshots] in the settings"
	if f := cmd.Flags(); f.Changed("keep-last") || f.Changed("keep-days") || f.Changed("max-size") {
		last, days, size, what = o.last, o.days, o.size, "--keep-last, --keep-days, --max-size"
	}
	return toolbox.ParseRetention(last, days, size, what)
}

func runPrune(cmd *cobra.Command, env *fetch.Env, args []string, o *pruneOptions) error {
	ctx := cmd.Context()
	keep, err := o.retention(cmd, env)
	if err != nil {
		return err
	}
	m, err := env.Manager()
	if err != nil {
		return err
	}
	all, current, err := chosen(ctx, env, args)
	if err != nil {
		return err
	}
	old := expired(all, keep, current)
	return o.remove(ctx, env, m, old, rowsOf(old, current))
}

// expired returns the snapshots beyond the limits, and those of removed toolboxes.
func expired(all []*toolbox.Snapshot, keep toolbox.Retention, current map[string]string) []*toolbox.Snapshot {
	var there, out []*toolbox.Snapshot
	for _, s := range all {
		if _, ok := current[s.ToolboxID]; ok {
			there = append(there, s)
		} else {
			out = append(out, s)
		}
	}
	return append(out, keep.Expired(there, time.Now())...)
}

func (o *pruneOptions) remove(ctx context.Context, env *fetch.Env, m *toolbox.Manager, old []*toolbox.Snapshot, rows []row) error {
	text := func() error { return printRows(env.Out, rows, time.Now()) }
	if len(old) == 0 {
		text = func() error {
			fmt.Fprintln(env.Err, "There is no snapshot to remove.")
			return nil
		}
	}
	if o.format == cli.Text {
		if err := env.Print(o.format, rows, text); err != nil {
			return err
		}
	}
	if len(old) > 0 && !o.dryRun {
		if err := env.Ask(fmt.Sprintf("Remove %s for good?", cli.Plural(len(old), "snapshot"))); err != nil {
			return err
		}
		if err := cli.ForEach(env.Env, old, func(s *toolbox.Snapshot) error { return m.RemoveSnapshot(ctx, s) }); err != nil {
			return err
		}
	}
	if o.format == cli.JSON {
		return env.Print(o.format, rows, text)
	}
	return nil
}
