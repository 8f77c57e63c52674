package provision

import (
	"context"
	"errors"
	"strings"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
	"github.com/tbx-project/tbx/toolbox"
)

// Removal is a removable image, or one of its names.
type Removal struct {
	Ref    string // as the user named it
	Image  images.Image
	UsedBy []string // containers that are made from it
	Whole  bool     // the image goes, not one of several names
}

// Removable returns the effect of removing ref. It refuses an image that a container is
// made from, unless force allows removing its toolboxes.
func (p *Provisioner) Removable(ctx context.Context, ref string, force bool) (*Removal, error) {
	store, err := p.Store(ctx)
	if err != nil {
		return nil, err
	}
	img, err := FindImage(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return nil, err
	}
	r := &Removal{Ref: ref, Image: img, UsedBy: users[img.ID]}
	r.Whole = len(img.Names) <= 1 || strings.HasPrefix(img.ID, strings.TrimPrefix(ref, "sha256:"))
	if r.Whole && len(r.UsedBy) > 0 && !force {
		return nil, fail.New(nil, "image %s: it is in use by %s", escape.Text(ref), escape.Text(strings.Join(r.UsedBy, ", "))).
			Hint("remove what uses it first: %s", p.removalOf(ctx, r.UsedBy[0])).
			Hint("or remove it with its toolboxes: --force")
	}
	return r, nil
}

// Remove carries out r, and removes the toolboxes that are made from the image.
func (p *Provisioner) Remove(ctx context.Context, r *Removal) error {
	if r.Whole {
		if err := p.removeToolboxes(ctx, r.UsedBy); err != nil {
			return err
		}
	}
	store, err := p.Store(ctx)
	if err != nil {
		return err
	}
	if r.Whole {
		_, err = images.Prune(ctx, store, []images.Image{r.Image}) // with all its names
		// podman shows a name with a digest only in lists.
		if left, lerr := store.Inspect(ctx, r.Image.ID); err == nil && lerr == nil {
			_, err = images.Prune(ctx, store, []images.Image{left})
		}
	} else {
		err = images.Remove(ctx, store, r.Ref)
	}
	if err != nil {
		return err
	}
	return p.ForgetGone(ctx, r.Image)
}

// removalOf returns the call that removes a container, which may not be a toolbox.
func (p *Provisioner) removalOf(ctx context.Context, container string) string {
	if name, err := toolbox.ParseName(container); err == nil {
		if _, err := p.Toolboxes.Find(ctx, name); !errors.Is(err, fail.NotFound) {
			return "tbx rm " + container
		}
	}
	if strings.Contains(container, "-working-container") {
		return "podman rm --force " + escape.Text(container) + " (of a build, which left it if none is running)"
	}
	return "podman rm " + escape.Text(container)
}

// removeToolboxes removes the toolboxes among containers: all, or none if one of them is
// not a toolbox.
func (p *Provisioner) removeToolboxes(ctx context.Context, containers []string) error {
	names := make([]toolbox.Name, 0, len(containers))
	for _, c := range containers {
		name, err := toolbox.ParseName(c)
		if err == nil {
			_, err = p.Toolboxes.Find(ctx, name)
		}
		if err != nil {
			return fail.New(nil, "container %s is made from the image, and is not a toolbox", escape.Text(c)).
				Hint("if you do not need it: %s", p.removalOf(ctx, c))
		}
		names = append(names, name)
	}
	for _, name := range names {
		if err := p.Toolboxes.Remove(ctx, name, true); err != nil {
			return err
		}
	}
	return nil
}

// ForgetGone removes the record of a removed image. It keeps that of a signed one: if
// another key signs the next image of its name, the user is told.
func (p *Provisioner) ForgetGone(ctx context.Context, img images.Image) error {
	store, err := p.Store(ctx)
	if err != nil {
		return err
	}
	records := images.ProvenancesIn(p.StateDir)
	if rec, ok, err := records.Load(img.ID); ok && err == nil && rec.Signer != "" {
		return nil
	}
	if _, err := store.Inspect(ctx, img.ID); !errors.Is(err, fail.NotFound) {
		return nil
	}
	return records.Forget(img.ID)
}

// FindImage returns a local image, or an error of kind fail.NotFound with the nearest
// name as a hint.
func FindImage(ctx context.Context, store images.Store, ref string) (images.Image, error) {
	img, err := store.Inspect(ctx, ref)
	if !errors.Is(err, fail.NotFound) {
		return img, err
	}
	missing := fail.Wrap(nil, err, "")
	if list, err := store.List(ctx); err == nil {
		var names []string
		for _, i := range list {
			for _, n := range i.Names {
				names = append(names, n, strings.TrimSuffix(n, ":latest"))
			}
		}
		if near := nearest.Names(ref, names); len(near) > 0 {
			missing.Hint("did you mean %s?", near[0])
		}
	}
	return img, missing.Hint("tbx image list shows the images")
}
