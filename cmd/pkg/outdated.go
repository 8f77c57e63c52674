package pkg

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// Images lists the images with something newer, as rows of docs/schema/outdated.json, and
// prints them.
type Images func(ctx context.Context) (rows any, print func() error, err error)

type outdatedOptions struct {
	noRefresh, noImages bool
	quiet               time.Duration
	format              cli.Format
}

// NewOutdated returns `tbx outdated`.
func NewOutdated(env *fetch.Env, images Images) *cobra.Command {
	o := &outdatedOptions{}
	cmd := &cobra.Command{
		Use:   "outdated [flags] [NAME...]",
		Short: "List what is outdated: packages, releases and images",
		Long: `List for all toolboxes, or the named ones, how many packages can be upgraded, how many of
these are security upgrades, and whether the distribution still supports the release. With
names, each package is listed. Images with something newer in the registry follow, as in
tbx image outdated. Nothing is upgraded. A toolbox that does not run is started, and
stopped again afterwards.`,
		Example: "  tbx outdated\n  tbx outdated build\n  tbx outdated --format json | jq '.toolboxes[].packages'",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return outdated(cmd.Context(), env, o, images, args) },
	}
	cmd.Flags().BoolVar(&o.noRefresh, "no-refresh", false, "use the indexes in the toolboxes, and fetch none")
	cmd.Flags().BoolVar(&o.noImages, "no-images", false, "do not ask registries about images")
	ofToolboxes(env, cmd, &o.quiet, &o.format)
	return cmd
}

// outdatedBox is one toolbox; docs/schema/outdated-all.json.
type outdatedBox struct {
	Name     string            `json:"name"`
	Image    string            `json:"image"`
	Manager  string            `json:"manager,omitempty"`
	Release  *packages.Release `json:"release,omitempty"`
	Packages []packages.Update `json:"packages"`
	Error    string            `json:"error,omitempty"`

	err error
}

func outdated(ctx context.Context, env *fetch.Env, o *outdatedOptions, images Images, names []string) error {
	if err := cli.CheckTimeout(o.quiet); err != nil {
		return err
	}
	boxes, err := chosen(ctx, env, len(names) == 0, names)
	if err != nil {
		return err
	}
	board := newBoard(env, "asking "+cli.Plural(len(boxes), "toolbox"), boxes)
	rows := make([]outdatedBox, len(boxes))
	sideBySide(len(boxes), func(i int) { rows[i] = askOne(ctx, env, o, boxes[i], board.of(i)) })
	board.close()
	if err := ctx.Err(); err != nil {
		return err
	}
	var failed []error
	for _, r := range rows {
		if r.err != nil && !errors.Is(r.err, fail.Unable) || r.err != nil && len(names) > 0 {
			failed = append(failed, r.err)
		}
		warnOfRelease(env, r.Name, r.Release)
	}
	var imageRows any = []string{}
	printImages := func() error { return nil }
	if !o.noImages && len(names) == 0 {
		if imageRows, printImages, err = images(ctx); err != nil {
			return err
		}
	}
	err = env.Print(o.format, map[string]any{"toolboxes": rows, "images": imageRows}, func() error {
		return errors.Join(printOutdated(env, rows, len(names) > 0), printImages())
	})
	return errors.Join(errors.Join(failed...), err)
}

// askOne asks one toolbox.
func askOne(ctx context.Context, env *fetch.Env, o *outdatedOptions, b *toolbox.Box, said func(string)) outdatedBox {
	r := outdatedBox{Name: string(b.Name), Image: b.Image, Packages: []packages.Update{}}
	said("looking for its package manager")
	t, err := open(ctx, env, b, o.quiet, said)
	if err == nil {
		release := packages.ReleaseOf(t.OS, time.Now())
		r.Manager, r.Release = t.Name, &release
		if !o.noRefresh {
			err = t.Refreshed(ctx)
		}
		if err == nil {
			var found []packages.Update
			found, err = t.Outdated(ctx)
			r.Packages = append(r.Packages, found...)
		}
		err = errors.Join(in(b.Name, err), t.rest(ctx))
	}
	if err != nil {
		r.err, r.Error = err, err.Error()
	}
	return r
}

func printOutdated(env *fetch.Env, rows []outdatedBox, each bool) error {
	if len(rows) == 0 {
		fmt.Fprintln(env.Err, "There is no toolbox yet. Make one with: tbx create")
		return nil
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOOLBOX\tRELEASE\tSUPPORTED\tBY\tPACKAGES\tSECURITY")
	for _, r := range rows {
		release, supported, security := "-", "-", 0
		if r.Release != nil {
			release, supported = r.Release.Name, cli.Dash(r.Release.Ends)
			if r.Release.Over {
				supported = "no"
			}
		}
		for _, p := range r.Packages {
			if p.Security {
				security++
			}
		}
		counts := fmt.Sprintf("%d\t%d", len(r.Packages), security)
		if r.err != nil {
			counts = "?\t?"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, escape.Text(release), escape.Text(supported), cli.Dash(r.Manager), counts)
	}
	if err := w.Flush(); err != nil || !each {
		return err
	}
	for _, r := range rows {
		for _, p := range r.Packages {
			about := ""
			if p.Security {
				about = "  (security)"
			}
			was := cli.Dash(p.Installed)
			fmt.Fprintf(env.Out, "%s: %s %s -> %s%s\n", r.Name, escape.Text(p.Name), escape.Text(was), escape.Text(p.Available), about)
		}
	}
	return nil
}
