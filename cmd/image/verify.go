package image

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/provision"
)

func newImageVerify(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "verify [flags] IMAGE...",
		Short: "Check the signatures of images",
		Long: `Check again, at its registry, that an image here was signed by the key that is trusted
for it, and record who signed it. Its layers are not downloaded again. verify fails if
podman cannot check such signatures.`,
		Example: "  tbx image verify registry.example.org/team/base:1",
		Args:    imagesOr(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImageVerify(cmd.Context(), env, args, format)
		},
		ValidArgsFunction: env.CompleteImages,
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

// verification is one image in the output of verify; docs/schema/verify.json.
type verification struct {
	Image string     `json:"image"` // as the user named it
	Key   images.Key `json:"key"`
}

func runImageVerify(ctx context.Context, env *fetch.Env, args []string, format cli.Format) error {
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(env.Dirs().State, 0o700); err != nil {
		return err
	}
	fetcher := images.Fetcher{Store: store, Trust: env.Trust(), StateDir: env.Dirs().State, Progress: env.NewDisplay().Event}
	done := []verification{}
	failed := cli.ForEach(env.Env, args, func(ref string) error {
		if _, err := provision.FindImage(ctx, store, ref); err != nil {
			return err
		}
		key, err := fetcher.Verify(ctx, ref)
		if err == nil {
			done = append(done, verification{ref, key})
		}
		return err
	})
	return errors.Join(env.Print(format, done, func() error {
		for _, v := range done {
			fmt.Fprintf(env.Out, "%s: signed by %s\n", escape.Text(v.Image), v.Key.ID)
		}
		return nil
	}), failed)
}
