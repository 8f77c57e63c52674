//go:build !front

package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
)

func newImageVerify(env *Env) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "verify [flags] IMAGE...",
		Short: "Check the signature of images that are here",
		Long: `Check once more, at its registry, that an image that is here was signed by the key
that is trusted for it, and record who signed it. Its layers are not downloaded
again. It fails where podman cannot check such signatures.`,
		Example: "  tbx image verify registry.example.org/team/base:1",
		Args:    imagesOr(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImageVerify(cmd.Context(), env, args, format)
		},
		ValidArgsFunction: env.completeImages,
	}
	formatFlag(cmd, &format)
	return cmd
}

// verification is one image in the output of verify; docs/schema/verify.json.
type verification struct {
	Image string     `json:"image"` // as it was named
	Key   images.Key `json:"key"`
}

func runImageVerify(ctx context.Context, env *Env, args []string, format string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(env.host.Dirs.State, 0o700); err != nil {
		return err
	}
	done := []verification{}
	failed := forEach(env, args, func(ref string) error {
		if _, err := env.findImage(ctx, store, ref); err != nil {
			return err
		}
		key, err := images.Verify(ctx, store, env.trust(), env.host.Dirs.State, ref, env.newFetchDisplay().event)
		if err == nil {
			done = append(done, verification{ref, key})
		}
		return err
	})
	env.progress().Close()
	if format == "json" {
		if err := printJSON(env.Out, done); err != nil {
			return err
		}
		return failed
	}
	for _, v := range done {
		fmt.Fprintf(env.Out, "%s: signed by %s\n", escape.Text(v.Image), v.Key.ID)
	}
	return failed
}
