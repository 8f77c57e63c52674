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

// meant is the toolbox that a session is to be in.
type meant struct {
	name   toolbox.Name
	makes  string // the call that makes it; empty: by its name
	unused error  // why the declaration of the project is not used
}

// meant says which toolbox that is: the one that was asked for, the project's, or the
// default.
func (s *selector) meant(ctx context.Context, e *cli.Env, choose Chooser, m *toolbox.Manager, command []string) (meant, error) {
	in := meant{makes: s.makes()}
	var err error
	if in.name, err = s.name(choose); err != nil || in.name != "" {
		return in, err
	}
	if in.name, in.unused = e.Project(); in.name != "" {
		in.makes = "tbx apply"
		return in, nil
	}
	in.name, err = defaultToolbox(ctx, e, choose, m, command)
	return in, err
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
