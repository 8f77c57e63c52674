package fetch

import (
	"context"

	"github.com/tbx-project/tbx/toolbox"
)

// Toolbox returns the toolbox that is named, or the one that is meant where none is: the
// project's, the one of the configuration, the only one, the host's distribution's, or the user's choice.
func (e *Env) Toolbox(ctx context.Context, m *toolbox.Manager, name string) (toolbox.Name, error) {
	if name == "" {
		if name, _ := e.Project(); name != "" {
			return name, nil
		}
		c, err := e.Config()
		if err != nil {
			return "", err
		}
		name = c.General.Toolbox
	}
	if name != "" {
		return toolbox.ParseName(name)
	}
	if name, ok := m.DefaultName(""); ok {
		return name, nil
	}
	return e.Chooser(nil).ChooseToolbox(ctx, m, []string{}) // not nil: nothing is offered
}
