package image

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	imagestore "github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// NewRemove is image rm, and rmi, as Toolbx calls it.
func NewRemove(env *fetch.Env, name string) *cobra.Command {
	var all, force bool
	path := map[string]string{"rm": "tbx image rm", "rmi": "tbx rmi"}[name]
	cmd := &cobra.Command{
		Use:   name + " [flags] IMAGE...",
		Short: "Remove images",
		Long: `Remove images, or only a name of one that has others. It asks first, and refuses
an image that a toolbox or another container is made from.

--force does not ask, and removes an image's toolboxes with it, running or not; it
still refuses an image that other containers are made from. --all stands for the
images that tbx fetched or made and those that are marked for Toolbx.`,
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
	store, err := env.Images(ctx)
	if err != nil {
		return err
	}
	if all {
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
	return cli.ForEach(env.Env, args, func(ref string) error { return removeImage(ctx, env, store, ref, force) })
}

func removeImage(ctx context.Context, e *fetch.Env, store *imagestore.Store, ref string, force bool) error {
	img, err := findImage(ctx, e, store, ref)
	if err != nil {
		return err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(ref, "sha256:")
	whole := len(img.Names) <= 1 || strings.HasPrefix(img.ID, id)
	used := whole && len(users[img.ID]) > 0
	row := rowOfImage(e, img, users[img.ID])
	switch {
	case used && !force:
		return fail.New(nil, "image %s: it is in use by %s", escape.Text(ref), escape.Text(strings.Join(row.UsedBy, ", "))).
			Hint("remove what uses it first: %s", removalOf(ctx, e, row.UsedBy[0])).
			Hint("or remove it with its toolboxes: --force")
	case used:
		if err := removeToolboxes(ctx, e, row.UsedBy); err != nil {
			return err
		}
	case !force:
		question := fmt.Sprintf("Remove image %s (%s)?", row.name(), cli.Size(img.Size))
		if !whole {
			question = fmt.Sprintf("Remove the name %s? The image stays, as it has others.", ref)
		}
		if err := e.Ask(question); err != nil {
			return err
		}
	}
	e.Progress().Stage("removing image " + ref)
	if whole {
		_, err = images.Prune(ctx, store, []images.Image{img})                   // with all its names
		if left, lerr := store.Inspect(ctx, img.ID); err == nil && lerr == nil { // a name with a digest, which podman tells only in lists
			_, err = images.Prune(ctx, store, []images.Image{left})
		}
	} else {
		err = images.Remove(ctx, store, ref)
	}
	if err != nil {
		return err
	}
	return forgetGone(ctx, e, store, img)
}

// removalOf is how to remove a container, which need not be a toolbox.
func removalOf(ctx context.Context, e *fetch.Env, container string) string {
	if name, err := toolbox.ParseName(container); err == nil {
		if m, err := e.Manager(); err == nil {
			if _, err := m.Find(ctx, name); !errors.Is(err, fail.NotFound) {
				return "tbx rm " + container
			}
		}
	}
	if strings.Contains(container, "-working-container") {
		return "podman rm --force " + escape.Text(container) + " (of a build, which left it if none is running)"
	}
	return "podman rm " + escape.Text(container)
}

// removeToolboxes removes those that are made from an image, all or none.
func removeToolboxes(ctx context.Context, e *fetch.Env, users []string) error {
	m, err := e.Manager()
	if err != nil {
		return err
	}
	var names []toolbox.Name
	for _, u := range users {
		name, err := toolbox.ParseName(u)
		if err == nil {
			_, err = m.Find(ctx, name)
		}
		if err != nil {
			return fail.New(nil, "container %s is made from the image, and is no toolbox", escape.Text(u)).Hint("if you do not need it: %s", removalOf(ctx, e, u))
		}
		names = append(names, name)
	}
	for _, name := range names {
		if err := m.Remove(ctx, name, true); err != nil {
			return err
		}
	}
	return nil
}

// forgetGone removes the record of an image that is gone. That of a signed one
// is kept: when another key signs the next image of its name, the user is told.
func forgetGone(ctx context.Context, e *fetch.Env, store *imagestore.Store, img images.Image) error {
	if _, err := store.Inspect(ctx, img.ID); !errors.Is(err, fail.NotFound) || e.OriginOf(img.ID).Signer != "" {
		return nil
	}
	return e.Records().Forget(img.ID)
}

func newImagePrune(env *fetch.Env) *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove images that nothing uses",
		Long: `Remove the images that have no name any more, as after a newer one was pulled, and
that no container is made from. --all removes those with a name too, also such
that neither tbx nor a toolbox had to do with. It shows them and asks first.`,
		Example:           "  tbx image prune\n  tbx image prune --all --yes",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runImagePrune(cmd.Context(), env, all, format) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also those that have a name")
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runImagePrune(ctx context.Context, env *fetch.Env, all bool, format string) error {
	if err := cli.CheckFormat(format); err != nil {
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
			// Standard output is for what was removed.
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
			if err := forgetGone(ctx, env, store, img); err != nil {
				return err
			}
		}
	}
	env.Progress().Close()
	if format == "json" {
		return errors.Join(cli.PrintJSON(env.Out, removed), err)
	}
	for _, r := range removed {
		fmt.Fprintf(env.Out, "Removed image: %s\n", escape.Text(r.name()))
	}
	if len(unused) == 0 {
		fmt.Fprintln(env.Err, "There is no image that nothing uses.")
	}
	return err
}
