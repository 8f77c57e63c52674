package snapshot

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox"
)

func newList(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:     "list [flags] [NAME]",
		Aliases: []string{"ls"},
		Short:   "List snapshots",
		Long: `List the snapshots of a toolbox, or all snapshots, the oldest first. The size is that of
the files; they take less room if the file system shares them.

If podman removed the container of a snapshot, the list says once that it is lost.`,
		Example: "  tbx snapshot list\n  tbx snapshot list --format json build | jq '.[].name'",
		RunE:    func(cmd *cobra.Command, args []string) error { return runList(cmd.Context(), env, args, format) },
	}
	ofOneOrAll(env, cmd)
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runList(ctx context.Context, env *fetch.Env, args []string, format cli.Format) error {
	all, current, err := chosen(ctx, env, args)
	if err != nil {
		return err
	}
	rows := rowsOf(all, current)
	return env.Print(format, rows, func() error {
		if len(rows) == 0 {
			fmt.Fprintln(env.Err, "There is no snapshot. Make one with: tbx snapshot create NAME")
			return nil
		}
		return printRows(env.Out, rows, time.Now())
	})
}

func printRows(w io.Writer, rows []row, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TOOLBOX\tSNAPSHOT\tAGE\tSIZE\tWHY")
	for _, r := range rows {
		name := escape.Text(r.Toolbox)
		if r.Gone {
			name += " (gone)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", name, escape.Text(r.Name), cli.Ago(now.Sub(r.Created)), sizeOf(r.Bytes), escape.Text(r.Reason))
	}
	return t.Flush()
}

// sizeOf returns a size as text, or a dash if it is not known.
func sizeOf(n int64) string {
	if n == 0 {
		return "-"
	}
	return bytesize.Text(n)
}

// shown is one snapshot in the output of show; docs/schema/snapshot.json.
type shown struct {
	row
	Specification string   `json:"specification"`    // at that time, as in its file
	Changed       []string `json:"settings_changed"` // keys whose values differ today
}

func newShow(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "show [flags] NAME SNAPSHOT",
		Short: "Show a snapshot",
		Long: `Show a snapshot: when and why it was made, its size, the settings that the toolbox had
then, and which of them differ today. A rollback does not change settings.`,
		Example: "  tbx snapshot show build before-llvm",
		RunE:    func(cmd *cobra.Command, args []string) error { return runShow(cmd.Context(), env, args, format) },
	}
	ofSnapshot(env, cmd)
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runShow(ctx context.Context, env *fetch.Env, args []string, format cli.Format) error {
	m, s, err := one(ctx, env, args)
	if err != nil {
		return err
	}
	b, err := m.Find(ctx, toolbox.Name(args[0]))
	if err != nil {
		return err
	}
	v := shown{row: rowOf(s, map[string]string{s.ToolboxID: args[0]}), Specification: s.Spec.Text(), Changed: cli.OrEmpty(s.Changed(b.Spec))}
	return env.Print(format, v, func() error { return printShown(env.Out, &v) })
}

func printShown(w io.Writer, v *shown) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(what, value string) { fmt.Fprintf(t, "%s:\t%s\n", what, escape.Text(value)) }
	line("Snapshot", v.Name)
	line("Toolbox", v.Toolbox)
	line("Made", v.Created.Local().Format(time.RFC1123Z))
	line("Why", v.Reason)
	if v.Bytes > 0 {
		line("Size", fmt.Sprintf("%s in %s", bytesize.Text(v.Bytes), cli.Plural(int(v.Entries), "file")))
	}
	line("Image", v.Image)
	line("Container", fmt.Sprintf("%.12s", v.Container))
	if len(v.Changed) > 0 {
		line("Changed since", strings.Join(v.Changed, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "Settings at that time:")
	for l := range strings.Lines(v.Specification) {
		fmt.Fprintf(w, "  %s\n", escape.Text(strings.TrimSuffix(l, "\n")))
	}
	return nil
}
