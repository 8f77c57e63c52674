//go:build !front

package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

type imagePullOptions struct {
	fetchFlags
	image, distro, release string
	format                 string
}

func newImagePull(env *Env) *cobra.Command {
	o := &imagePullOptions{}
	cmd := &cobra.Command{
		Use:   "pull [flags] [IMAGE]",
		Short: "Fetch an image from its registry",
		Long: `Fetch an image from its registry, or the newer one under its name, and prepare it
so that a toolbox of it is made at once. Without an image it is the one that
tbx create would take.

What is complete of a download that was interrupted is not downloaded again. Where
no registry can be reached, making the image from the distribution's package
mirror is offered.`,
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
		ValidArgsFunction: env.completeImages,
	}
	cmd.Flags().StringVarP(&o.distro, "distro", "d", "", "fetch this `DISTRIBUTION`'s image")
	cmd.Flags().StringVarP(&o.release, "release", "r", "", "`RELEASE` of the distribution")
	o.fetchFlags.flags(cmd, images.PullAlways)
	cmd.Flags().BoolVar(&o.unprepared, "no-prepare", false, "leave the preparation, and its disk use, to the first toolbox of the image")
	formatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("distro", env.completeDistros)
	cmd.RegisterFlagCompletionFunc("release", env.completeReleases)
	return cmd
}

func runImagePull(ctx context.Context, env *Env, o *imagePullOptions) error {
	if err := checkFormat(o.format); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	choice, err := env.imageChoice(ctx, images.Request{Distro: o.distro, Release: o.release, Image: o.image})
	if err != nil {
		return err
	}
	img, err := env.ensureImage(ctx, choice, &o.fetchFlags, true)
	if err != nil {
		return err
	}
	return env.printImage(img, choice.Reference, o.format)
}
