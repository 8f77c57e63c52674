package cli

import (
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// ProjectFile returns the declaration of the project that the user is in, or "". Call
// Host first.
func (e *Env) ProjectFile() string {
	dir, err := os.Getwd()
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return ""
	}
	return project.Find(dir, e.host.RealHome)
}

// Permits returns the declarations that the user trusts. Call Host first.
func (e *Env) Permits() project.Permits { return project.PermitsIn(e.Dirs().State) }

// Project returns the toolbox of the project that the user is in, or "" outside a
// project. why is the reason if the declaration is not used. Call Host first.
func (e *Env) Project() (name toolbox.Name, why error) {
	path := e.ProjectFile()
	if path == "" {
		return "", nil
	}
	permit, err := e.Permits().Allowed(path)
	if err != nil {
		return "", err
	}
	if permit.Enter == "" {
		return "", fail.New(nil, "%s declares several toolboxes and does not say which one to enter here", escape.Text(path)).
			Hint("write in it: enter = \"NAME\", and allow it again: tbx allow")
	}
	name, err = toolbox.ParseName(permit.Enter)
	return name, err
}

// WarnOfProject prints once why the declaration of a project is not used; nil prints
// nothing.
func (e *Env) WarnOfProject(why error) {
	if why == nil || e.projectTold {
		return
	}
	e.projectTold = true
	hint := ""
	if hints := fail.Hints(why); len(hints) > 0 {
		hint = hints[len(hints)-1]
	}
	e.Progress().Warn(why.Error(), hint)
}
