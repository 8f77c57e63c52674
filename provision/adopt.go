package provision

import (
	"context"

	"github.com/tbx-project/tbx/toolbox"
)

// PlanAdoption returns what Adopt would do. It changes nothing.
func (p *Provisioner) PlanAdoption(ctx context.Context, r toolbox.AdoptRequest) (*toolbox.Adoption, error) {
	r.ImageEnv = p.imageEnv(r.Name)
	return p.Toolboxes.PlanAdoption(ctx, r)
}

// Adopt makes a toolbox of tbx from one of another program; see toolbox.Manager.Adopt.
// The image must be there.
func (p *Provisioner) Adopt(ctx context.Context, r toolbox.AdoptRequest) (*toolbox.Adoption, error) {
	r.ImageEnv = p.imageEnv(r.Name)
	return p.Toolboxes.Adopt(ctx, r)
}
