package image

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
)

func newImageTag(env *fetch.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "tag IMAGE NAME",
		Short: "Give an image another name",
		Long: `Give an image another name. A name without a registry is local to this machine; one
without a tag gets the tag latest. tbx image rm removes a name.`,
		Example: "  tbx image tag docker.io/library/debian:13 localhost/base",
		Args:    cli.Exactly(2, "an image and its new name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkImage(args[0]); err != nil {
				return err
			}
			name, err := images.ParseRef(args[1])
			if err != nil {
				return err
			}
			if name.ID != "" || name.Digest != "" {
				return fail.New(fail.Usage, "image name %s must be a name with or without a tag", escape.Quote(args[1]))
			}
			if name.Domain == "" {
				name.Domain = "localhost"
			}
			store, err := env.Images(cmd.Context())
			if err != nil {
				return err
			}
			img, err := provision.FindImage(cmd.Context(), store, args[0])
			if err != nil {
				return err
			}
			return store.Tag(cmd.Context(), img.ID, name.String())
		},
		ValidArgsFunction: env.CompleteImages,
	}
}
