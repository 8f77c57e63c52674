package image

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

type imageBuildOptions struct {
	path, tag  string
	authfile   string
	args       []string
	unsignedOK bool
	format     cli.Format
}

func newImageBuild(env *fetch.Env) *cobra.Command {
	o := &imageBuildOptions{path: "."}
	cmd := &cobra.Command{
		Use:   "build [flags] [DIRECTORY|CONTAINERFILE]",
		Short: "Build an image from a Containerfile",
		Long: `Build an image from a Containerfile, or from the one in a directory, by default in the
current one. The output of the build is shown as it comes.

The image is built only if no image of that name was built from the same content. Without
a name it is named after that content.`,
		Example: `  tbx image build
  tbx image build images/containerfiles/debian -t localhost/debian-toolbox:13
  tbx image build --build-arg BASE=docker.io/library/debian:12 -t mine .`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fail.New(fail.Usage, "%s takes one directory or Containerfile, not %d", cmd.CommandPath(), len(args)).
					Hint("usage: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if args[0] == "" {
					return fail.New(fail.Usage, "the directory's name is empty").Hint("leave it out for the current one")
				}
				o.path = args[0]
			}
			return runImageBuild(cmd.Context(), env, o)
		},
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
	f := cmd.Flags()
	f.StringVarP(&o.tag, "tag", "t", "", "the image's `NAME`")
	f.StringArrayVar(&o.args, "build-arg", nil, "value of an ARG in the Containerfile, `NAME=VALUE`; may be repeated")
	f.StringVar(&o.authfile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	f.BoolVar(&o.unsignedOK, "unsigned-ok", false, "build it even if signatures are required: images built here are not signed")
	cli.FormatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("tag", env.CompleteImages)
	cmd.RegisterFlagCompletionFunc("authfile", cli.Files)
	cli.NoCompletion(cmd, "build-arg")
	return cmd
}

func runImageBuild(ctx context.Context, env *fetch.Env, o *imageBuildOptions) error {
	args := map[string]string{}
	for _, a := range o.args {
		name, value, found := strings.Cut(a, "=")
		if !found || name == "" {
			return fail.New(fail.Usage, "--build-arg %s: it must be NAME=VALUE", escape.Quote(a))
		}
		args[name] = value
	}
	b, err := images.NewBuild(o.path, o.tag, args)
	if err != nil {
		return err
	}
	b.AuthFile = o.authfile
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	img, err := p.EnsureBuilt(ctx, b, o.unsignedOK)
	if err != nil {
		return err
	}
	return printImage(env, img, b.Tag, o.format)
}
