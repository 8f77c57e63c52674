package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// answersLast is how long a registry's answer is used: long enough for a prompt or a
// script that asks often, short enough for a user who waits for a release.
const answersLast = 10 * time.Minute

type imageOutdatedOptions struct {
	all, refresh bool
	format       cli.Format
}

func newImageOutdated(env *fetch.Env) *cobra.Command {
	o := &imageOutdatedOptions{}
	cmd := &cobra.Command{
		Use:   "outdated [flags]",
		Short: "List images that have a newer version",
		Long: `List the images with a newer version in their registry, and those that tbx built from a
Containerfile that has changed since. This takes one small request for each name. tbx
uses an answer for ten minutes, or longer if the registry does not answer. Nothing is
fetched.`,
		Example:           "  tbx image outdated\n  tbx image outdated --all --refresh",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runImageOutdated(cmd.Context(), env, o) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "also list images that are up to date")
	cmd.Flags().BoolVar(&o.refresh, "refresh", false, "ask every registry again")
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

// staleness is one image in the output of outdated; docs/schema/outdated.json.
type staleness struct {
	Reference     string     `json:"reference"`
	Image         string     `json:"image"`
	Outdated      bool       `json:"outdated"`
	Digest        string     `json:"digest,omitempty"`
	Containerfile string     `json:"containerfile,omitempty"`
	Checked       *time.Time `json:"checked,omitempty"`
	Error         string     `json:"error,omitempty"`

	state, how string // of a build that is outdated
}

func runImageOutdated(ctx context.Context, env *fetch.Env, o *imageOutdatedOptions) error {
	rows, err := stale(ctx, env, o)
	if err != nil {
		return err
	}
	return printStaleness(env, rows, o)
}

// Outdated returns the part of tbx outdated about images.
func Outdated(env *fetch.Env) func(context.Context) (rows any, print func() error, err error) {
	return func(ctx context.Context) (any, func() error, error) {
		o := &imageOutdatedOptions{format: cli.Text}
		rows, err := stale(ctx, env, o)
		newer := slices.DeleteFunc(slices.Clone(rows), func(r staleness) bool { return !r.Outdated })
		return newer, func() error {
			if len(newer) == 0 {
				return nil
			}
			fmt.Fprintln(env.Out)
			return printStaleness(env, newer, o)
		}, err
	}
}

// stale checks every image.
func stale(ctx context.Context, env *fetch.Env, o *imageOutdatedOptions) ([]staleness, error) {
	store, err := env.Images(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	registry, err := env.Registry("").Client()
	if err != nil {
		return nil, err
	}
	opts := images.OutdatedOptions{CacheFile: filepath.Join(env.Dirs().Cache, "outdated.json"), MaxAge: answersLast}
	if o.refresh {
		opts.MaxAge = 0
	}
	if err := os.MkdirAll(env.Dirs().Cache, 0o700); err != nil {
		return nil, err
	}
	env.Progress().Stage("asking the registries")
	rows := []staleness{}
	for _, s := range images.Outdated(ctx, registry, list, opts) {
		row := staleness{Reference: s.Reference, Image: s.Image, Outdated: s.Newer, Digest: s.Digest}
		if !s.Checked.IsZero() {
			row.Checked = &s.Checked
		}
		if s.Err != nil {
			row.Error = s.Err.Error()
			env.Progress().Warn(s.Err.Error(), "")
		}
		rows = append(rows, row)
	}
	built, err := changedBuilds(env, list)
	if err != nil {
		return nil, err
	}
	env.Progress().Close()
	return append(rows, built...), ctx.Err()
}

// changedBuilds compares the images that tbx built with their Containerfiles.
func changedBuilds(e *fetch.Env, list []images.Image) ([]staleness, error) {
	names := map[string]bool{}
	for _, img := range list {
		for _, n := range img.Names {
			names[n] = true
		}
	}
	var rows []staleness
	for _, img := range list {
		rec, ok, err := e.Provenances().Load(img.ID)
		if err != nil {
			return nil, err
		}
		if !ok || rec.Build == nil {
			continue
		}
		changed, now, err := rec.Build.Changed()
		row := staleness{Reference: rec.Reference, Image: img.ID, Outdated: changed && err == nil, Containerfile: rec.Build.Containerfile}
		if err != nil {
			row.Error = err.Error()
			e.Progress().Warn(err.Error(), "")
		}
		row.state, row.how = "Containerfile changed", rebuild(rec)
		if rec.NamedByContent() && names[now.Tag] {
			row.state, row.how = "replaced by "+now.Tag, "tbx image rm "+cli.ShellQuote(rec.Reference)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// rebuild returns the call that builds an image of tbx again.
func rebuild(rec images.Provenance) string {
	words := []string{"tbx image build"}
	if !rec.NamedByContent() {
		words = append(words, "-t "+cli.ShellQuote(rec.Reference))
	}
	for _, k := range cli.SortedKeys(rec.Build.Args) {
		words = append(words, "--build-arg "+cli.ShellQuote(k+"="+rec.Build.Args[k]))
	}
	return strings.Join(append(words, cli.ShellQuote(rec.Build.Containerfile)), " ")
}

func printStaleness(env *fetch.Env, rows []staleness, o *imageOutdatedOptions) error {
	shown := []staleness{}
	unknown := 0
	for _, r := range rows {
		if r.Outdated || o.all {
			shown = append(shown, r)
		}
		if r.Error != "" && r.Checked == nil {
			unknown++
		}
	}
	var err error
	if unknown > 0 && unknown == len(rows) {
		err = fail.Wrap(fail.Unable, errors.New("no registry answered"), "no image could be checked").
			Hint("try again with a network; the images here work without one")
	}
	return errors.Join(env.Print(o.format, shown, func() error {
		if len(shown) == 0 {
			if err == nil {
				fmt.Fprintln(env.Err, "There is no newer image.")
			}
			return nil
		}
		t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tID\tSTATE\tHOW TO GET IT")
		for _, r := range shown {
			state, how := "up to date", "-"
			switch {
			case r.Containerfile != "" && r.Outdated:
				state, how = r.state, r.how
			case r.Outdated:
				state, how = "newer image", "tbx image pull "+cli.ShellQuote(r.Reference)
			case r.Error != "" && r.Checked == nil:
				state = "unknown"
			}
			fmt.Fprintf(t, "%s\t%.12s\t%s\t%s\n", escape.Text(r.Reference), r.Image, state, escape.Text(how))
		}
		return t.Flush()
	}), err)
}
