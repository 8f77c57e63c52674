package image

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
)

type imageBootstrapOptions struct {
	distro  string
	include []string
	format  cli.Format
}

func newImageBootstrap(env *fetch.Env) *cobra.Command {
	o := &imageBootstrapOptions{}
	cmd := &cobra.Command{
		Use:   "bootstrap [flags] DISTRIBUTION[:RELEASE]",
		Short: "Make an image from a package mirror, without a registry",
		Long: `Make a distribution's image from its package mirror with the host's own tool, as an
ordinary user: mmdebstrap or debootstrap for Debian and Ubuntu, dnf for Fedora, zypper
for openSUSE, pacman for Arch Linux, apk for Alpine Linux. The mirror's signatures
are checked with the keys of the distribution's keyring package. tbx records the steps
and the version of every package: tbx image inspect shows them.

tbx image catalog shows which distributions can be bootstrapped.`,
		Example: "  tbx image bootstrap debian\n  tbx image bootstrap debian:trixie --include vim,less",
		Args:    cli.Exactly(1, "the name of a distribution"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.distro = args[0]
			return runImageBootstrap(cmd.Context(), env, o)
		},
		ValidArgsFunction: env.CompleteBootstraps,
	}
	cmd.Flags().StringSliceVar(&o.include, "include", nil, "also install these `PACKAGES`, separated by commas")
	cli.FormatFlag(cmd, &o.format)
	cli.NoCompletion(cmd, "include")
	return cmd
}

func runImageBootstrap(ctx context.Context, env *fetch.Env, o *imageBootstrapOptions) error {
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	choice, err := p.Choose(ctx, images.Request{Distro: o.distro})
	if err != nil {
		return err
	}
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(env.Dirs().State, 0o700); err != nil {
		return err
	}
	opts := images.BootstrapOptions{StateDir: env.Dirs().State, Include: o.include}
	img, err := images.Bootstrap(ctx, store, choice, opts, env.NewDisplay().Event)
	if err != nil {
		return err
	}
	return printImage(env, img, choice.Local, o.format)
}
