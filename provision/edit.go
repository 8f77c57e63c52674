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

// EditForced is Edit for a user who has what runs in the toolbox ended. If that is what it
// takes, what is in the toolbox is kept as a snapshot before, which is returned.
func (p *Provisioner) EditForced(ctx context.Context, r toolbox.EditRequest) (*toolbox.EditPlan, *toolbox.Snapshot, error) {
	plan, err := p.PlanEdit(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	var kept *toolbox.Snapshot
	if plan.Way == toolbox.EditRestarts {
		if kept, err = p.Snapshot(ctx, r.Name, "before tbx edit --force"); err != nil {
			return nil, kept, fail.Wrap(nil, err, "toolbox %s was not changed", r.Name).
				Hint("change it without a snapshot: tbx edit --force --no-snapshot …")
		}
	}
	done, err := p.Edit(ctx, r)
	return done, kept, err
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
