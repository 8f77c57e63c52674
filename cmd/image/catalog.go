package image

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
)

func newImageCatalog(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:     "catalog [flags]",
		Aliases: []string{"catalogue"},
		Short:   "List the distributions that tbx knows",
		Long: `List the distributions that --distro takes, with their default releases. The contract
says what an image has: a toolbox image comes with sudo, shells and manual pages, a plain
one is the distribution's base image. tbx works with both. A bootstrap makes the image
without a registry.

The host's own distribution is marked with a star; its release is the host's.`,
		Example:           "  tbx image catalog\n  tbx image catalog --format json | jq -r '.[].name'",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runImageCatalog(env, format) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runImageCatalog(env *fetch.Env, format cli.Format) error {
	cat, host, err := env.Catalogue()
	if err != nil {
		return err
	}
	return env.Print(format, cat.Distros, func() error {
		own := cat.Find(host.ID)
		t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tOTHER NAMES\tRELEASE\tIMAGE\tPACKAGES\tCONTRACT\tBOOTSTRAP")
		for _, d := range cat.Distros {
			name := d.Name
			if d == own {
				name += " *"
			}
			aliases, tools := cli.Dash(strings.Join(d.Aliases, ", ")), cli.Dash(strings.Join(d.Bootstrap.Tools, ", "))
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, aliases, d.Default, d.Image, d.Packages, d.Contract, tools)
		}
		return t.Flush()
	})
}
