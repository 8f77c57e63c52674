package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	imagestore "github.com/tbx-project/tbx/images/podman"
)

type imageListOptions struct {
	names, sizes bool
	format       cli.Format
}

func newImageList(env *fetch.Env) *cobra.Command {
	o := &imageListOptions{}
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "List the images",
		Long: `List podman's images, with tbx's records: how an image came here, who signed it, and
which toolboxes and other containers are made from it. The size includes the parts that
images share; --sizes separates them, which takes podman longer.`,
		Example:           "  tbx image list\n  tbx image list --sizes\n  tbx image list --format json | jq '.[] | select(.used_by == [])'",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runImageList(cmd.Context(), env, o) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&o.names, "names", "n", false, "print the names only")
	cmd.Flags().BoolVarP(&o.sizes, "sizes", "s", false, "also show how much of the size is an image's own, and how much it shares")
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

// List returns the function that prints the images, or only their names. tbx list
// --images uses it too.
func List(env *fetch.Env) func(ctx context.Context, names bool, format cli.Format) error {
	return func(ctx context.Context, names bool, format cli.Format) error {
		return runImageList(ctx, env, &imageListOptions{names: names, format: format})
	}
}

func runImageList(ctx context.Context, env *fetch.Env, o *imageListOptions) error {
	rows, err := imageRows(ctx, env, o.sizes)
	if err != nil {
		return err
	}
	return env.Print(o.format, rows, func() error {
		switch {
		case o.names:
			for _, r := range rows {
				for _, n := range r.Names {
					fmt.Fprintln(env.Out, n)
				}
			}
			return nil
		case len(rows) == 0:
			fmt.Fprintln(env.Err, "There is no image here. Fetch one with: tbx image pull")
			return nil
		}
		return printImageRows(env.Out, rows, o.sizes, time.Now())
	})
}

// imageRows returns all images, sorted by name.
func imageRows(ctx context.Context, e *fetch.Env, sizes bool) ([]imageRow, error) {
	store, err := e.Images(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]imageRow, 0, len(list))
	for _, img := range list {
		rows = append(rows, rowOfImage(e, img, users[img.ID]))
	}
	slices.SortFunc(rows, func(a, b imageRow) int { return strings.Compare(a.name(), b.name()) })
	if !sizes {
		return rows, nil
	}
	all := make([]*imageRow, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	return rows, measure(ctx, e, store, all)
}

// measure adds the images' own sizes. podman cannot tell them while there is a container
// whose image has no layer (4.3); then they are left out.
func measure(ctx context.Context, e *fetch.Env, store *imagestore.Store, rows []*imageRow) error {
	e.Progress().Stage("measuring the images")
	defer e.Progress().Stage("")
	shares, err := store.Shares(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.Progress().Warn("podman does not say what images share: "+err.Error(), "")
		}
		return ctx.Err()
	}
	for _, r := range rows {
		if s, ok := shares[r.ID]; ok {
			r.Own, r.Common = &s.Own, &s.Common
		}
	}
	return nil
}
