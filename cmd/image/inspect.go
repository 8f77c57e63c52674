package image

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/provision"
)

func newImageInspect(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:     "inspect [flags] IMAGE",
		Aliases: []string{"show"},
		Short:   "Show what an image is and where it came from",
		Long: `Show what an image is, how it came here, who signed it and what uses it. Its labels and
environment are whatever its maker wrote; those that could act on a toolbox are listed
separately.`,
		Example: "  tbx image inspect fedora-toolbox:44",
		Args:    cli.Exactly(1, "the name of an image"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImageInspect(cmd.Context(), env, args[0], format)
		},
		ValidArgsFunction: env.CompleteImages,
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

// imageInspection is the output of image inspect; docs/schema/image.json.
type imageInspection struct {
	imageRow
	OS          string            `json:"os"`
	Arch        string            `json:"arch"`
	User        string            `json:"user"`
	Environment []string          `json:"environment"`
	Command     []string          `json:"command"`
	Entrypoint  []string          `json:"entrypoint"`
	Labels      map[string]string `json:"labels"`
	Suspicious  []string          `json:"suspicious"`

	VouchedBy string               `json:"vouched_by,omitempty"`
	Date      *time.Time           `json:"date,omitempty"`
	Bootstrap *images.Bootstrapped `json:"bootstrap,omitempty"`
	Build     *images.Built        `json:"build,omitempty"`
}

func runImageInspect(ctx context.Context, env *fetch.Env, ref string, format cli.Format) error {
	if err := checkImage(ref); err != nil {
		return err
	}
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	img, err := provision.FindImage(ctx, store, ref)
	if err != nil {
		return err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	i := imageInspection{
		imageRow: rowOfImage(env, img, users[img.ID]), OS: img.OS, Arch: img.Arch, User: img.User, Environment: cli.OrEmpty(img.Env),
		Command: cli.OrEmpty(img.Cmd), Entrypoint: cli.OrEmpty(img.Entrypoint), Labels: img.Labels, Suspicious: provision.Suspicious(img),
	}
	if i.Labels == nil {
		i.Labels = map[string]string{}
	}
	if err := measure(ctx, env, store, []*imageRow{&i.imageRow}); err != nil {
		return err
	}
	if rec, ok, err := env.Provenances().Load(img.ID); err != nil {
		return err
	} else if ok {
		i.Date, i.Bootstrap, i.Build = &rec.Date, rec.Bootstrap, rec.Build
	}
	if by, ok, err := env.Trust().Vouched(env.Provenances(), img, ref); err != nil {
		return err
	} else if ok {
		i.VouchedBy = by
	}
	return env.Print(format, i, func() error { return printImageInspection(env, &i) })
}

func printImageInspection(env *fetch.Env, i *imageInspection) error {
	t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, escape.Text(value))
		}
	}
	line("Names", strings.Join(i.Names, ", "))
	line("ID", i.ID)
	line("Digests", strings.Join(i.Digests, ", "))
	line("Created", i.Created.Format(time.RFC3339))
	line("Platform", i.OS+"/"+i.Arch)
	line("Size", bytesize.Text(i.Size))
	if i.Own != nil {
		line("Own size", bytesize.Text(*i.Own))
		line("Shared size", bytesize.Text(*i.Common))
	}
	line("Used by", strings.Join(i.UsedBy, ", "))
	line("Origin", string(i.Origin))
	line("Asked for as", i.Reference)
	if i.Date != nil {
		line("Came here", i.Date.Format(time.RFC3339))
	}
	line("Signed by", i.Signer)
	line("Verified with", i.VouchedBy)
	if i.Bootstrap != nil {
		line("Made with", i.Bootstrap.Tool+" ("+i.Bootstrap.Mode+")")
		line("Mirror", strings.Join(i.Bootstrap.Sources, "; "))
	}
	if i.Build != nil {
		line("Built from", i.Build.Containerfile)
	}
	line("User", i.User)
	line("Command", strings.Join(i.Command, " "))
	line("Entry point", strings.Join(i.Entrypoint, " "))
	for _, s := range i.Suspicious {
		line("Beware of", s)
	}
	for _, e := range i.Environment {
		line("Environment", e)
	}
	for _, k := range slices.Sorted(maps.Keys(i.Labels)) {
		line("Label", k+"="+i.Labels[k])
	}
	return t.Flush()
}
