package fetch

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// chooser is a session.Chooser.
type chooser struct {
	*Env
	offer func(context.Context) (toolbox.Name, error)
}

// Chooser returns a session.Chooser. offer offers to make the first toolbox.
func (e *Env) Chooser(offer func(context.Context) (toolbox.Name, error)) *chooser {
	return &chooser{e, offer}
}

// choose returns the image for r.
func (e *Env) choose(ctx context.Context, r images.Request) (images.Choice, error) {
	p, err := e.Provisioner()
	if err != nil {
		return images.Choice{}, err
	}
	return p.Choose(ctx, r)
}

// DistroToolbox returns the name of a distribution's default toolbox.
func (e *chooser) DistroToolbox(distro, release string) (toolbox.Name, error) {
	choice, err := e.choose(context.Background(), images.Request{Distro: distro, Release: release})
	if err != nil {
		return "", err
	}
	return toolbox.ParseName(choice.ToolboxName)
}

// ChooseToolbox does the part of the choice that needs the catalogue and podman.
func (e *chooser) ChooseToolbox(ctx context.Context, m *toolbox.Manager, command []string) (toolbox.Name, error) {
	if command == nil { // before a question about another toolbox
		_, why := e.Project()
		e.WarnOfProject(why)
	}
	choice, err := e.choose(ctx, images.Request{})
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
	all = slices.DeleteFunc(all, (*toolbox.Box).Ephemeral) // they belong to a session
	var names []string
	for _, b := range all {
		if string(b.Name) == choice.ToolboxName {
			return b.Name, nil
		}
		names = append(names, string(b.Name))
	}
	switch len(all) {
	case 0:
		if command == nil {
			return e.offer(ctx)
		}
		return "", fail.New(fail.NotFound, "there is no toolbox yet").Hint("make one with: tbx create")
	case 1:
		return all[0].Name, nil
	}
	if len(command) > 0 && slices.Contains(names, command[0]) {
		err := fail.New(fail.Usage, "%s is one of several toolboxes, but tbx run takes its first word as a command", command[0])
		if len(command) > 1 {
			return "", err.Hint("to run something in toolbox %s: tbx run %s -- COMMAND", command[0], command[0])
		}
		return "", err.Hint("to run something in toolbox %s: tbx run %s -- COMMAND", command[0], command[0]).
			Hint("for a shell in it: tbx enter %s", command[0])
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
