package session

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Chooser knows more about images and toolboxes than the program tbx does, which becomes
// tbx-podman when a method is called.
type Chooser interface {
	// DistroToolbox returns the name of a distribution's default toolbox.
	DistroToolbox(distro, release string) (toolbox.Name, error)
	// ChooseToolbox chooses the toolbox where the catalogue, podman or the user must be
	// asked. command is the command to run; without one, for a shell, it may offer the
	// user to make the first toolbox.
	ChooseToolbox(ctx context.Context, m *toolbox.Manager, command []string) (toolbox.Name, error)
}

// selector holds the flags that choose the toolbox.
type selector struct{ toolbox, distro, release string }

func (s *selector) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.toolbox, "toolbox", "c", "", "the toolbox's `NAME` (also --container, as in Toolbx)")
	f.StringVarP(&s.distro, "distro", "d", "", "the default toolbox of another `DISTRIBUTION`")
	f.StringVarP(&s.release, "release", "r", "", "the default toolbox of another `RELEASE`")
}

// makes returns the call that makes the toolbox of --distro and --release, or "".
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

// name returns the toolbox that the flags name, or "" without flags.
func (s *selector) name(choose Chooser) (toolbox.Name, error) {
	if s.toolbox != "" {
		if s.distro != "" || s.release != "" {
			return "", fail.New(fail.Usage, "--toolbox excludes --distro and --release")
		}
		return toolbox.ParseName(s.toolbox)
	}
	if s.distro == "" && s.release == "" {
		return "", nil
	}
	return choose.DistroToolbox(s.distro, s.release)
}

// meant is the toolbox of a session.
type meant struct {
	name   toolbox.Name
	makes  string // the call that makes it; empty: by its name
	unused error  // why the project's declaration is not used
}

// meant chooses the toolbox: the one of the flags, the project's, or the default.
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

// defaultToolbox chooses a toolbox when none is named: the configured one, the only one,
// the host distribution's, or the user's choice. If there is none at all and no command
// waits, it offers to make one.
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
