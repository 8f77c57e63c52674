package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/provision"
)

// NewRemove returns image rm, or rmi, its name in Toolbx.
func NewRemove(env *fetch.Env, name string) *cobra.Command {
	var all, force bool
	path := map[string]string{"rm": "tbx image rm", "rmi": "tbx rmi"}[name]
	cmd := &cobra.Command{
		Use:   name + " [flags] IMAGE...",
		Short: "Remove images",
		Long: `Remove images, or one name of an image that has others. tbx asks first, and refuses an
image that a toolbox or another container is made from.

--force does not ask, and also removes the toolboxes of an image, running or not; it still
refuses an image that other containers are made from. --all means the images that tbx
fetched or made and those that are marked for Toolbx.`,
		Example: "  " + path + " localhost/debian-toolbox:13\n  " + path + " --all",
		Args:    imagesOr(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImageRemove(cmd.Context(), env, args, all, force)
		},
		ValidArgsFunction: env.CompleteImages,
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "all images that tbx fetched or made, or that are marked for Toolbx")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask, and remove the toolboxes that are made from the image")
	return cmd
}

func runImageRemove(ctx context.Context, env *fetch.Env, args []string, all, force bool) error {
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	if all {
		store, err := env.Images(ctx)
		if err != nil {
			return err
		}
		list, err := store.List(ctx)
		if err != nil {
			return err
		}
		for _, img := range list {
			if img.Labels["com.github.containers.toolbox"] == "true" || env.OriginOf(img.ID).Origin != "" {
				args = append(args, img.ID)
			}
		}
	}
	return cli.ForEach(env.Env, args, func(ref string) error { return removeImage(ctx, env, p, ref, force) })
}

func removeImage(ctx context.Context, e *fetch.Env, p *provision.Provisioner, ref string, force bool) error {
	r, err := p.Removable(ctx, ref, force)
	if err != nil {
		return err
	}
	if !force {
		row := rowOfImage(e, r.Image, r.UsedBy)
		question := fmt.Sprintf("Remove image %s (%s)?", row.name(), bytesize.Text(r.Image.Size))
		if !r.Whole {
			question = fmt.Sprintf("Remove the name %s? The image stays, because it has other names.", ref)
		}
		if err := e.Ask(question); err != nil {
			return err
		}
	}
	e.Progress().Stage("removing image " + ref)
	if err := p.Remove(ctx, r); err != nil {
		return err
	}
	if r.Whole {
		for _, name := range r.UsedBy { // removed with it
			e.ForgetRules(name)
		}
	}
	return nil
}

func newImagePrune(env *fetch.Env) *cobra.Command {
	var all bool
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove unused images",
		Long: `Remove the images that have lost their name, as after a pull of a newer one, and that no
container is made from. --all also removes unused images with a name, even those that
neither tbx nor a toolbox ever used. tbx shows them and asks first.`,
		Example:           "  tbx image prune\n  tbx image prune --all --yes",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runImagePrune(cmd.Context(), env, all, format) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also images that have a name")
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runImagePrune(ctx context.Context, env *fetch.Env, all bool, format cli.Format) error {
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	unused, err := images.Unused(ctx, store, all)
	if err != nil {
		return err
	}
	rows := func(list []images.Image) []imageRow {
		out := make([]imageRow, 0, len(list))
		for _, img := range list {
			out = append(out, rowOfImage(env, img, nil))
		}
		return out
	}
	removed := []imageRow{}
	if len(unused) > 0 {
		env.Progress().Close()
		if !env.Yes {
			// Standard output is for the removed images.
			if err := printImageRows(env.Err, rows(unused), false, time.Now()); err != nil {
				return err
			}
		}
		question := fmt.Sprintf("Remove these %d images?", len(unused))
		if len(unused) == 1 {
			question = "Remove this image?"
		}
		if err := env.Ask(question); err != nil {
			return err
		}
		env.Progress().Stage("removing images")
		var gone []images.Image
		gone, err = images.Prune(ctx, store, unused)
		removed = rows(gone)
		for _, img := range gone {
			if err := p.ForgetGone(ctx, img); err != nil {
				return err
			}
		}
	}
	return errors.Join(env.Print(format, removed, func() error {
		for _, r := range removed {
			fmt.Fprintf(env.Out, "Removed image: %s\n", escape.Text(r.name()))
		}
		if len(unused) == 0 {
			fmt.Fprintln(env.Err, "There is no unused image.")
		}
		return nil
	}), err)
}
