//go:build !front

package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

func (e *Env) resolve(r images.Request) (images.Choice, error) {
	cat, host, err := e.Catalogue()
	if err != nil {
		return images.Choice{}, err
	}
	return cat.Resolve(r, host)
}

// distroToolbox returns the name that the default toolbox of a distribution has.
func (e *Env) distroToolbox(distro, release string) (toolbox.Name, error) {
	choice, err := e.resolve(images.Request{Distro: distro, Release: release})
	if err != nil {
		return "", err
	}
	return toolbox.ParseName(choice.ToolboxName)
}

// chooseToolbox is the part of defaultToolbox that needs the catalogue and podman.
func (e *Env) chooseToolbox(ctx context.Context, m *toolbox.Manager, offer bool) (toolbox.Name, error) {
	c, err := e.Config()
	if err != nil {
		return "", err
	}
	choice, err := e.resolve(images.Request{Distro: c.General.Distro, Release: c.General.Release, Image: c.General.Image})
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
			return e.offerFirst(ctx, m)
		}
		return "", fail.New(fail.NotFound, "there is no toolbox yet").Hint("make one with: tbx create")
	case 1:
		return all[0].Name, nil
	}
	i, err := e.pick("Which toolbox?", names)
	if errors.Is(err, fail.Canceled) {
		return "", err
	}
	if err != nil {
		return "", fail.Wrap(nil, err, "there are several toolboxes: %s", strings.Join(names, ", ")).
			Hint("name one, or make one the default: write toolbox = %q below [general] in ~/.config/tbx/config.toml", names[0])
	}
	return all[i].Name, nil
}

// offerFirst offers to make the host's default toolbox.
func (e *Env) offerFirst(ctx context.Context, m *toolbox.Manager) (toolbox.Name, error) {
	o := &createOptions{offered: true}
	choice, err := e.imageChoice(ctx, images.Request{})
	if err != nil {
		return "", err
	}
	if err := e.ask(fmt.Sprintf("There is no toolbox yet. Make %s from %s?", choice.ToolboxName, choice.Reference)); err != nil {
		return "", err
	}
	return e.create(ctx, m, o)
}
