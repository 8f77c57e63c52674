package box

import (
	"context"
	"fmt"

	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/toolbox"
)

// OfferFirst offers to make the host's default toolbox.
func OfferFirst(e *fetch.Env) func(context.Context, *toolbox.Manager) (toolbox.Name, error) {
	return func(ctx context.Context, m *toolbox.Manager) (toolbox.Name, error) {
		o := &createOptions{offered: true}
		choice, err := e.ImageChoice(ctx, images.Request{})
		if err != nil {
			return "", err
		}
		if err := e.Ask(fmt.Sprintf("There is no toolbox yet. Make %s from %s?", choice.ToolboxName, choice.Reference)); err != nil {
			return "", err
		}
		return create(ctx, e, m, o)
	}
}
