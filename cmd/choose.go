package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// selector holds the flags by which a user says which toolbox is meant.
type selector struct{ toolbox, distro, release string }

func (s *selector) flags(cmd *cobra.Command, env *Env) {
	f := cmd.Flags()
	f.StringVarP(&s.toolbox, "toolbox", "c", "", "the toolbox's `NAME` (also --container, as in Toolbx)")
	f.StringVarP(&s.distro, "distro", "d", "", "the default toolbox of another `DISTRIBUTION`")
	f.StringVarP(&s.release, "release", "r", "", "the default toolbox of another `RELEASE`")
	cmd.RegisterFlagCompletionFunc("toolbox", env.completeToolboxes)
	cmd.RegisterFlagCompletionFunc("distro", env.completeDistros)
	noCompletion(cmd, "release")
}

// name returns the toolbox that was asked for, or "" when nothing was said.
func (s *selector) name(env *Env) (toolbox.Name, error) {
	if s.toolbox != "" {
		if s.distro != "" || s.release != "" {
			return "", fail.New(fail.Usage, "--toolbox names the toolbox; --distro and --release go without it")
		}
		return toolbox.ParseName(s.toolbox)
	}
	if s.distro == "" && s.release == "" {
		return "", nil
	}
	choice, err := env.resolve(images.Request{Distro: s.distro, Release: s.release})
	if err != nil {
		return "", err
	}
	return toolbox.ParseName(choice.ToolboxName)
}

func (e *Env) resolve(r images.Request) (images.Choice, error) {
	cat, host, err := e.Catalogue()
	if err != nil {
		return images.Choice{}, err
	}
	return cat.Resolve(r, host)
}

// defaultToolbox says which toolbox is meant when none is named: the one of the
// configuration, the only one, the host's distribution's, or the user's choice.
// With none at all it is "", and create may be offered.
func (e *Env) defaultToolbox(ctx context.Context, m *toolbox.Manager) (toolbox.Name, error) {
	c, err := e.Config()
	if err != nil {
		return "", err
	}
	if c.General.Toolbox != "" {
		return toolbox.ParseName(c.General.Toolbox)
	}
	if name, ok := m.DefaultName(""); ok {
		return name, nil
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
		return "", nil
	case 1:
		return all[0].Name, nil
	}
	i, err := e.pick("Which toolbox?", names)
	if err != nil {
		return "", fail.Wrap(nil, err, "there are several toolboxes: %s", strings.Join(names, ", ")).
			Hint("name one, or make one the default: write toolbox = %q below [general] in ~/.config/tbx/config.toml", names[0])
	}
	return all[i].Name, nil
}

// chooseOrCreate is defaultToolbox that offers to make the host's default
// toolbox where there is none.
func (e *Env) chooseOrCreate(ctx context.Context, m *toolbox.Manager) (toolbox.Name, error) {
	name, err := e.defaultToolbox(ctx, m)
	if err != nil || name != "" {
		return name, err
	}
	o := &createOptions{offered: true}
	choice, err := e.imageChoice(images.Request{})
	if err != nil {
		return "", err
	}
	if err := e.ask(fmt.Sprintf("There is no toolbox yet. Make %s from %s?", choice.ToolboxName, choice.Reference)); err != nil {
		return "", err
	}
	return e.create(ctx, m, o)
}
