package provision

import (
	"context"
	"errors"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// Choose returns the image of a request. An empty request means the configured image,
// else the host's own distribution. Errors are those of images.Resolve.
func (p *Provisioner) Choose(ctx context.Context, r images.Request) (images.Choice, error) {
	if r == (images.Request{}) {
		r = p.Default
		if r.Image != "" {
			r.Distro, r.Release = "", ""
		}
	}
	var err error
	if r.Image, err = p.wholeID(ctx, r.Image); err != nil {
		return images.Choice{}, err
	}
	cat, host, err := p.Catalogue()
	if err != nil {
		return images.Choice{}, err
	}
	return cat.Resolve(r, host)
}

// wholeID returns the ID of the local image whose ID begins with ref, unless an
// image has that name. Else it returns ref.
func (p *Provisioner) wholeID(ctx context.Context, ref string) (string, error) {
	if !images.MaybeID(ref) {
		return ref, nil
	}
	store, err := p.Store(ctx)
	if err != nil {
		return "", err
	}
	if _, err := store.Inspect(ctx, ref+":latest"); !errors.Is(err, fail.NotFound) {
		return ref, err
	}
	img, err := store.Inspect(ctx, ref)
	if errors.Is(err, fail.NotFound) {
		return ref, nil
	}
	return img.ID, err
}
