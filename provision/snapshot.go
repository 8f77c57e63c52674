package provision

import (
	"context"
	"errors"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Snapshot keeps a toolbox's contents before a program changes them, for a reason such as
// "before upgrade". The retention in the settings removes older automatic ones. A caller
// with --no-snapshot does not call it. Toolboxes.Rollback takes the result by its name.
func (p *Provisioner) Snapshot(ctx context.Context, name toolbox.Name, reason string) (*toolbox.Snapshot, error) {
	s, err := p.Toolboxes.Snapshot(ctx, name, toolbox.SnapshotOptions{Reason: reason, Automatic: true})
	if err != nil {
		return nil, err
	}
	all, err := p.Toolboxes.Snapshots(ctx, s.ToolboxID)
	if err != nil {
		return s, err
	}
	var own []*toolbox.Snapshot
	for _, old := range all {
		if old.Automatic {
			own = append(own, old)
		}
	}
	for _, old := range p.Keep.Expired(own, time.Now()) {
		if old.Container == s.Container {
			continue
		}
		if err := p.Toolboxes.RemoveSnapshot(ctx, old); err != nil && !errors.Is(err, fail.NotFound) {
			return s, err
		}
	}
	return s, nil
}

// Clone makes a copy of a toolbox, see toolbox.Manager.Clone.
func (p *Provisioner) Clone(ctx context.Context, name toolbox.Name, o toolbox.CloneOptions) error {
	if err := p.Toolboxes.CheckFree(ctx, o.Name); err != nil {
		return err
	}
	from, err := p.Toolboxes.CloneSource(ctx, name, o.Snapshot)
	if err != nil {
		return err
	}
	store, err := p.Store(ctx)
	if err != nil {
		return err
	}
	img, err := store.Inspect(ctx, from.ID)
	if err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be cloned: its image is gone", name)
	}
	from.Env = img.Env
	return p.Toolboxes.Clone(ctx, name, o, from)
}
