package box

import (
	"context"
	"fmt"

	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

// OfferFirst offers to make the host's default toolbox.
func OfferFirst(e *fetch.Env) func(context.Context) (toolbox.Name, error) {
	return func(ctx context.Context) (toolbox.Name, error) {
		p, err := e.Provisioner()
		if err != nil {
			return "", err
		}
		choice, err := p.Choose(ctx, images.Request{})
		if err != nil {
			return "", err
		}
		if err := e.Ask(fmt.Sprintf("There is no toolbox yet. Make %s from %s?", choice.ToolboxName, choice.Reference)); err != nil {
			return "", err
		}
		return create(ctx, e, p, provision.Request{Fetch: provision.Fetch{Agreed: true}})
	}
}
