package box

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

type listOptions struct {
	names              bool
	images, containers bool
	format             cli.Format
	columns            string // of another program, whose output is read: columnsOf
}

// NewList returns `tbx list`; listImages does --images.
func NewList(env *fetch.Env, listImages func(ctx context.Context, names bool, format cli.Format) error) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:         "list [flags]",
		Annotations: cli.Quietly(),
		Aliases:     []string{"ls"},
		Short:       "List the toolboxes",
		Long: `List the toolboxes. Those of Toolbx, distrobox and apx are listed and marked too;
tbx adopt takes them over. --images lists the images instead, as tbx image list does;
together with --containers it lists both.`,
		Example:           "  tbx list\n  tbx list --images\n  tbx list --format json | jq '.[].name'",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runList(cmd.Context(), env, o, listImages) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVarP(&o.names, "names", "n", false, "print the names only")
	f.BoolVarP(&o.images, "images", "i", false, "list the images instead, or with --containers too")
	f.BoolVarP(&o.containers, "containers", "c", false, "list the toolboxes; the default")
	cli.FormatFlag(cmd, &o.format)
	f.StringVar(&o.columns, "columns", "", "")
	f.MarkHidden("columns") // for cmd/face
	return cmd
}

// row is one toolbox in the output of list; docs/schema/list.json.
type row struct {
	Name    string     `json:"name"`
	ID      string     `json:"id"`
	State   string     `json:"state"`
	Image   string     `json:"image"`
	ImageID string     `json:"image_id"`
	Created time.Time  `json:"created"`
	Started *time.Time `json:"started,omitempty"`
	Manager string     `json:"manager"` // tbx, or the maker: toolbx, distrobox or apx

	Isolated  bool `json:"isolated,omitempty"`  // made with --isolated
	Ephemeral bool `json:"ephemeral,omitempty"` // gone when its session ends

	ImageDigest string `json:"image_digest,omitempty"` // as tbx recorded it when the image came
	ImageSigner string `json:"image_signer,omitempty"`
}

func rowOf(e *fetch.Env, b *toolbox.Box) row {
	r := row{
		Name: string(b.Name), ID: b.ID, State: string(b.State), Image: b.Image, ImageID: b.ImageID, Created: b.Created.UTC(),
		Manager: string(b.Maker()),
	}
	if !b.Started.IsZero() {
		at := b.Started.UTC()
		r.Started = &at
	}
	if b.Managed() {
		r.Manager, r.Isolated = "tbx", b.Isolated()
		r.Ephemeral = b.Ephemeral()
	}
	from := e.OriginOf(b.ImageID)
	r.ImageDigest, r.ImageSigner = from.Digest, from.Signer
	return r
}

func runList(ctx context.Context, env *fetch.Env, o *listOptions, listImages func(context.Context, bool, cli.Format) error) error {
	if o.images && o.containers && o.format == cli.JSON {
		return fail.New(fail.Usage, "--format json prints one array").Hint("give --images or --containers, not both")
	}
	if o.images {
		if err := listImages(ctx, o.names, o.format); err != nil || !o.containers {
			return err
		}
		if !o.names {
			fmt.Fprintln(env.Out)
		}
	}
	m, err := env.Manager()
	if err != nil {
		return err
	}
	all, err := m.List(ctx)
	if err != nil {
		return err
	}
	rows := make([]row, 0, len(all))
	for _, b := range all {
		rows = append(rows, rowOf(env, b))
	}
	return env.Print(o.format, rows, func() error { return o.print(env, rows) })
}

func (o *listOptions) print(env *fetch.Env, rows []row) error {
	switch print := columnsOf[o.columns]; {
	case print != nil:
		return print(env.Out, rows, time.Now())
	case o.names:
		for _, r := range rows {
			fmt.Fprintln(env.Out, escape.Text(r.Name))
		}
		return nil
	case len(rows) == 0 && env.Quiet: // a script sees from the empty output that there is none
		return nil
	case len(rows) == 0:
		fmt.Fprintln(env.Err, "There is no toolbox yet. Make one with: tbx create")
		return nil
	}
	if err := printRows(env.Out, rows, time.Now()); err != nil {
		return err
	}
	return tellOutlived(env, rows)
}

// tellOutlived names the toolboxes whose release gets no updates any more.
func tellOutlived(env *fetch.Env, rows []row) error {
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	for _, r := range rows {
		if release, since, over := p.Outlived(r.Image, time.Now()); over && r.Manager == "tbx" {
			env.Progress().Warn(fmt.Sprintf("toolbox %s: %s has had no security updates since %s", r.Name, release, since),
				"move it to a newer release: tbx rebase --release RELEASE "+r.Name)
		}
	}
	env.Progress().Close()
	return nil
}

func printRows(w io.Writer, rows []row, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// A user without isolated toolboxes need not read that the others are not isolated.
	modes := slices.ContainsFunc(rows, func(r row) bool { return r.Isolated })
	column := func(isolated bool) string {
		switch {
		case !modes:
			return ""
		case isolated:
			return "isolated\t"
		}
		return "shared\t"
	}
	// And a user who has toolboxes of tbx only need not read who made them.
	makers := slices.ContainsFunc(rows, func(r row) bool { return r.Manager != "tbx" })
	head := ""
	if modes {
		head = "MODE\t"
	}
	if makers {
		head += "MADE BY\t"
	}
	fmt.Fprintln(t, "NAME\tSTATE\t"+head+"IMAGE\tCREATED\tID")
	for _, r := range rows {
		age := cli.Ago(now.Sub(r.Created))
		fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%.12s\n", escape.Text(r.Name), r.State, column(r.Isolated)+made(r.Manager, makers),
			escape.Text(r.Image), age, r.ID)
	}
	return t.Flush()
}

// made returns the cell of the column of makers, if the column is shown.
func made(by string, shown bool) string {
	if !shown {
		return ""
	}
	return by + "\t"
}
