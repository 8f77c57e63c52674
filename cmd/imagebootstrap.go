//go:build !front

package cmd

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
)

type imageBootstrapOptions struct {
	distro  string
	include []string
	format  string
}

func newImageBootstrap(env *Env) *cobra.Command {
	o := &imageBootstrapOptions{}
	cmd := &cobra.Command{
		Use:   "bootstrap [flags] DISTRIBUTION[:RELEASE]",
		Short: "Make an image from a package mirror, without a registry",
		Long: `Make a distribution's image from its package mirror with the host's own tool, as an
ordinary user: mmdebstrap or debootstrap for Debian and Ubuntu, dnf for Fedora, zypper
for openSUSE, pacman for Arch Linux, apk for Alpine Linux. The mirror's signatures
are checked with the keys of the distribution's keyring package. What was done,
and the version of every package, is recorded: tbx image inspect shows it.

tbx image catalog shows which distributions can be made.`,
		Example: "  tbx image bootstrap debian\n  tbx image bootstrap debian:trixie --include vim,less",
		Args:    exactly(1, "the name of a distribution"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.distro = args[0]
			return runImageBootstrap(cmd.Context(), env, o)
		},
		ValidArgsFunction: env.completeBootstraps,
	}
	cmd.Flags().StringSliceVar(&o.include, "include", nil, "also install these `PACKAGES`, separated by commas")
	formatFlag(cmd, &o.format)
	noCompletion(cmd, "include")
	return cmd
}

func runImageBootstrap(ctx context.Context, env *Env, o *imageBootstrapOptions) error {
	if err := checkFormat(o.format); err != nil {
		return err
	}
	choice, err := env.resolve(images.Request{Distro: o.distro})
	if err != nil {
		return err
	}
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(env.host.Dirs.State, 0o700); err != nil {
		return err
	}
	opts := images.BootstrapOptions{StateDir: env.host.Dirs.State, Include: o.include}
	img, err := images.Bootstrap(ctx, store, choice, opts, env.newFetchDisplay().event)
	if err != nil {
		return err
	}
	return env.printImage(img, choice.Local, o.format)
}
