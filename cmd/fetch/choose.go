package fetch

import (
	"context"
	"errors"
	"strings"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Resolve looks r up in the catalogue.
func (e *Env) Resolve(r images.Request) (images.Choice, error) {
	cat, host, err := e.Catalogue()
	if err != nil {
		return images.Choice{}, err
	}
	return cat.Resolve(r, host)
}

// ImageChoice says which image r means. What the user asked for wins over the
// configuration, and a distribution on the command line over an image in the
// configuration.
func (e *Env) ImageChoice(ctx context.Context, r images.Request) (images.Choice, error) {
	if r == (images.Request{}) {
		c, err := e.Config()
		if err != nil {
			return images.Choice{}, err
		}
		r = images.Request{Distro: c.General.Distro, Release: c.General.Release, Image: c.General.Image}
		if r.Image != "" {
			r.Distro, r.Release = "", ""
		}
	}
	var err error
	if r.Image, err = e.wholeID(ctx, r.Image); err != nil {
		return images.Choice{}, err
	}
	return e.Resolve(r)
}

// wholeID gives the ID of the image that is here whose ID begins with ref, unless
// one has that name. Else it gives ref.
func (e *Env) wholeID(ctx context.Context, ref string) (string, error) {
	if !images.MaybeID(ref) {
		return ref, nil
	}
	store, err := e.Images(ctx)
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

// chooser is a session.Chooser.
type chooser struct {
	*Env
	offer func(context.Context, *toolbox.Manager) (toolbox.Name, error)
}

// Chooser finds the toolbox that a user means. offer offers to make the first one.
func (e *Env) Chooser(offer func(context.Context, *toolbox.Manager) (toolbox.Name, error)) *chooser {
	return &chooser{e, offer}
}

// DistroToolbox returns the name that the default toolbox of a distribution has.
func (e *chooser) DistroToolbox(distro, release string) (toolbox.Name, error) {
	choice, err := e.Resolve(images.Request{Distro: distro, Release: release})
	if err != nil {
		return "", err
	}
	return toolbox.ParseName(choice.ToolboxName)
}

// ChooseToolbox is the part of choosing that needs the catalogue and podman.
func (e *chooser) ChooseToolbox(ctx context.Context, m *toolbox.Manager, offer bool) (toolbox.Name, error) {
	c, err := e.Config()
	if err != nil {
		return "", err
	}
	choice, err := e.Resolve(images.Request{Distro: c.General.Distro, Release: c.General.Release, Image: c.General.Image})
	if err != nil {
		return "", err
	}
	if name, ok := m.DefaultName(choice.ToolboxName); ok {
		return name, nil
	}
	all, err := m.List(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, b := range all {
		if string(b.Name) == choice.ToolboxName {
			return b.Name, nil
		}
		names = append(names, string(b.Name))
	}
	switch len(all) {
	case 0:
		if offer {
			return e.offer(ctx, m)
		}
		return "", fail.New(fail.NotFound, "there is no toolbox yet").Hint("make one with: tbx create")
	case 1:
		return all[0].Name, nil
	}
	i, err := e.Pick("Which toolbox?", names)
	if errors.Is(err, fail.Canceled) {
		return "", err
	}
	if err != nil {
		return "", fail.Wrap(nil, err, "there are several toolboxes: %s", strings.Join(names, ", ")).
			Hint("name one, or make one the default: write toolbox = %q below [general] in ~/.config/tbx/config.toml", names[0])
	}
	return all[i].Name, nil
}
