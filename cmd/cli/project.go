package cli

import (
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// ProjectFile is the declaration of the project that the user is in, or "". Host was
// called before.
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

// Permits are the declarations that the user trusts. Host was called before.
func (e *Env) Permits() project.Permits { return project.PermitsIn(e.Dirs().State) }

// Project is the toolbox that is meant in the project that the user is in; empty where he
// is in none. why is the reason that a declaration is there and not used. Host was called
// before.
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
		return "", fail.New(nil, "%s declares several toolboxes and does not say which one is meant here", escape.Text(path)).
			Hint("write there: enter = \"NAME\", and allow it again: tbx allow")
	}
	name, err = toolbox.ParseName(permit.Enter)
	return name, err
}

// WarnOfProject says, once, why the declaration of a project is not used; nil says nothing.
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
