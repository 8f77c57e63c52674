package bootc

import (
	"context"

	"github.com/tbx-project/tbx/osupdate"
)

var _ osupdate.Builder = (*Backend)(nil)

// BuildPlan builds the owner's own image and switches to it.
func (b *Backend) BuildPlan(ctx context.Context, s *osupdate.State, src string) (*osupdate.Plan, error) {
	steps, err := osupdate.ContainerBuild(b.tools, src)
	if err != nil {
		return nil, err
	}
	p := &osupdate.Plan{Request: osupdate.Request{Verb: osupdate.BuildVerb, Target: osupdate.LocalImage}, Steps: steps, NeedsRoot: true,
		NeedsBoot: true, Reversible: true}
	if n := s.Head(); n != nil && n.Image != nil && n.Image.Reference == osupdate.LocalImage {
		b.step(p, "boot the new "+osupdate.LocalImage+" next", b.bootc, "upgrade")
	} else if err := b.switchTo(s, p.Request, p); err != nil {
		return nil, err
	}
	p.Network = true // FROM
	return p, nil
}
