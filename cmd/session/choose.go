package session

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Chooser knows more of images and toolboxes than the program tbx, which becomes
// tbx-podman when one is called.
type Chooser interface {
	// DistroToolbox returns the name that the default toolbox of a distribution has.
	DistroToolbox(distro, release string) (toolbox.Name, error)
	// ChooseToolbox says which toolbox is meant when nothing but the catalogue, podman
	// or the user can tell. command is what shall run; without one, for a shell, the
	// user may be asked to make the first toolbox.
	ChooseToolbox(ctx context.Context, m *toolbox.Manager, command []string) (toolbox.Name, error)
}

// selector holds the flags by which a user says which toolbox is meant.
type selector struct{ toolbox, distro, release string }

func (s *selector) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.toolbox, "toolbox", "c", "", "the toolbox's `NAME` (also --container, as in Toolbx)")
	f.StringVarP(&s.distro, "distro", "d", "", "the default toolbox of another `DISTRIBUTION`")
	f.StringVarP(&s.release, "release", "r", "", "the default toolbox of another `RELEASE`")
}

// makes is the call that makes the toolbox that was asked for by its distribution, or "".
func (s *selector) makes() string {
	call := ""
	if s.distro != "" {
		call += " --distro " + cli.ShellQuote(s.distro)
	}
	if s.release != "" {
		call += " --release " + cli.ShellQuote(s.release)
	}
	if call != "" {
		call = "tbx create" + call
	}
	return call
}

// name returns the toolbox that was asked for, or "" when nothing was said.
func (s *selector) name(choose Chooser) (toolbox.Name, error) {
	if s.toolbox != "" {
		if s.distro != "" || s.release != "" {
			return "", fail.New(fail.Usage, "--toolbox names the toolbox; --distro and --release go without it")
		}
		return toolbox.ParseName(s.toolbox)
	}
	if s.distro == "" && s.release == "" {
		return "", nil
	}
	return choose.DistroToolbox(s.distro, s.release)
}

// defaultToolbox says which toolbox is meant when none is named: the one of the
// configuration, the only one, the host's distribution's, or the user's choice.
// With none at all it is made, if no command waits and the user says so.
func defaultToolbox(ctx context.Context, e *cli.Env, choose Chooser, m *toolbox.Manager, command []string) (toolbox.Name, error) {
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
	return choose.ChooseToolbox(ctx, m, command)
}
