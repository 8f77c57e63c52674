package fetch

import (
	"context"

	"github.com/tbx-project/tbx/toolbox"
)

// Toolbox returns the named toolbox, or without a name the project's, the configured one,
// the only one, the host distribution's, or the user's choice.
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
