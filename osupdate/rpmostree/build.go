package rpmostree

import (
	"context"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

var _ osupdate.Builder = (*Backend)(nil)

const localOrigin = "ostree-unverified-image:containers-storage:" + osupdate.LocalImage

// BuildPlan builds the owner's own image and moves the host to it. Layered
// packages and overrides are taken off: they belong into the image now, and a
// rebase with them has made broken systems (coreos/rpm-ostree issue 4791).
func (b *Backend) BuildPlan(ctx context.Context, s *osupdate.State, src string) (*osupdate.Plan, error) {
	steps, err := osupdate.ContainerBuild(b.tools, src)
	if err != nil {
		return nil, err
	}
	p := &osupdate.Plan{
		Request: osupdate.Request{Verb: osupdate.BuildVerb, Target: osupdate.LocalImage}, Steps: steps,
		NeedsRoot: true, NeedsBoot: true, Reversible: true, Network: true,
	}
	next := s.Head()
	if next != nil && next.Changes.Any() {
		b.step(p, "take off layered packages and overrides, which belong into the image now", "reset")
	}
	if next != nil && next.Tracks == localOrigin {
		b.step(p, "boot the new "+osupdate.LocalImage+" next", "upgrade", "--unchanged-exit-77").OK = []int{ostreefamily.Unchanged}
		return p, nil
	}
	b.step(p, "follow "+osupdate.LocalImage+" from now on, and boot it next", "rebase", localOrigin)
	return p, nil
}
