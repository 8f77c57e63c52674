package pkg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
)

type searchOptions struct {
	where
	format cli.Format
}

// NewSearch returns `tbx search`.
func NewSearch(env *fetch.Env) *cobra.Command {
	o := &searchOptions{}
	cmd := &cobra.Command{
		Use:         "search [flags] WORD...",
		Annotations: cli.Quietly(),
		Short:       "Search for packages to install in a toolbox",
		Long: `Search for packages by words in their names and descriptions, with the toolbox's own
package manager. A toolbox without an index fetches it first.`,
		Example: "  tbx search ripgrep\n  tbx search --toolbox build --format json json parser",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fail.New(fail.Usage, "tbx search needs a word to search for").Hint("for example: tbx search editor")
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, args []string) error { return search(cmd.Context(), env, o, args) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(env, cmd)
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

func search(ctx context.Context, env *fetch.Env, o *searchOptions, words []string) error {
	b, err := o.box(ctx, env)
	if err != nil {
		return err
	}
	what := "searching in toolbox " + string(b.Name)
	env.Progress().Stage(what)
	t, err := open(ctx, env, b, o.quiet, nil)
	if err != nil {
		return err
	}
	found, err := t.Find(ctx, words)
	if err := errors.Join(in(b.Name, err), t.rest(ctx)); err != nil {
		return err
	}
	if found == nil {
		found = []packages.Package{}
	}
	return env.Print(o.format, found, func() error {
		if len(found) == 0 {
			return fail.New(fail.NotFound, "toolbox %s: %s finds no package for %s", b.Name, t.Name, escape.Quote(strings.Join(words, " "))).
				Hint("try fewer words, or a part of one")
		}
		w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
		for _, p := range found {
			fmt.Fprintf(w, "%s\t%s\t%s\n", escape.Text(p.Name), escape.Text(cli.Dash(p.Version)), escape.Text(p.Summary))
		}
		return w.Flush()
	})
}
