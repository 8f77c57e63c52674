package provision

import (
	"context"
	"errors"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// PlanEdit says what Edit would do. It changes nothing.
func (p *Provisioner) PlanEdit(ctx context.Context, r toolbox.EditRequest) (*toolbox.EditPlan, error) {
	r.ImageEnv = p.imageEnv(r.Name)
	return p.Toolboxes.PlanEdit(ctx, r)
}

// Edit gives a toolbox other settings and keeps what is in it; see toolbox.Manager.Edit.
// The image stays, and must be there.
func (p *Provisioner) Edit(ctx context.Context, r toolbox.EditRequest) (*toolbox.EditPlan, error) {
	r.ImageEnv = p.imageEnv(r.Name)
	return p.Toolboxes.Edit(ctx, r)
}

// imageEnv looks up what the image of a toolbox sets.
func (p *Provisioner) imageEnv(name toolbox.Name) func(context.Context, string) ([]string, error) {
	return func(ctx context.Context, id string) ([]string, error) {
		store, err := p.Store(ctx)
		if err != nil {
			return nil, err
		}
		img, err := store.Inspect(ctx, id)
		if errors.Is(err, fail.NotFound) {
			return nil, fail.New(fail.NotFound, "the image that toolbox %s was made from is gone (id %.12s), so it cannot be changed", name, id).
				Hint("the toolbox itself works on; an image of the same id brings it back, as from: podman load")
		}
		return img.Env, err
	}
}
