package image

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

type imagePullOptions struct {
	fetch.Flags
	image, distro, release string
	format                 cli.Format
}

func newImagePull(env *fetch.Env) *cobra.Command {
	o := &imagePullOptions{}
	cmd := &cobra.Command{
		Use:   "pull [flags] [IMAGE]",
		Short: "Fetch an image from its registry",
		Long: `Fetch an image from its registry, or the newer one under its name, and prepare it so
that the first toolbox from it is made at once. Without an image, tbx fetches the one that
tbx create would take.

The finished parts of an interrupted download are not downloaded again. If no registry can
be reached, tbx offers to make the image from the distribution's package mirror.`,
		Example: `  tbx image pull
  tbx image pull --distro ubuntu --release 24.04
  tbx image pull quay.io/toolbx/arch-toolbox:latest
  tbx image pull --platform linux/arm64 docker.io/library/alpine:3.22`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fail.New(fail.Usage, "%s takes one image, not %d", cmd.CommandPath(), len(args)).Hint("usage: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if o.image = args[0]; o.image == "" {
					return fail.New(fail.Usage, "the image's name is empty")
				}
			}
			return runImagePull(cmd.Context(), env, o)
		},
		ValidArgsFunction: env.CompleteImages,
	}
	cmd.Flags().StringVarP(&o.distro, "distro", "d", "", "fetch this `DISTRIBUTION`'s image")
	cmd.Flags().StringVarP(&o.release, "release", "r", "", "`RELEASE` of the distribution")
	o.Flags.Add(cmd, images.PullAlways)
	cmd.Flags().BoolVar(&o.Unprepared, "no-prepare", false, "leave the preparation, and its disk use, to the first toolbox from the image")
	cli.FormatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("distro", env.CompleteDistros)
	cmd.RegisterFlagCompletionFunc("release", env.CompleteReleases)
	return cmd
}

func runImagePull(ctx context.Context, env *fetch.Env, o *imagePullOptions) error {
	if err := o.Check(); err != nil {
		return err
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	choice, err := p.Choose(ctx, images.Request{Distro: o.distro, Release: o.release, Image: o.image})
	if err != nil {
		return err
	}
	o.Agreed = true
	img, err := p.Ensure(ctx, choice, o.Fetch)
	if err != nil {
		return err
	}
	return printImage(env, img, choice.Reference, o.format)
}
