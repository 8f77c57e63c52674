package toolbox

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// Rollback makes the toolbox hold what it held at a snapshot, in one step and without a
// copy. What it held until now becomes the snapshot BeforeRollback, in the place of the
// one that was rolled back to and of an older BeforeRollback. force ends what runs in it;
// without it, a toolbox that is used is left alone. It returns the names of settings that
// are other ones today than at the snapshot: they stay as they are.
func (m *Manager) Rollback(ctx context.Context, name Name, snapshot string, force bool) (changed []string, err error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	snapshots, err := m.lockSnapshots(ctx, b.Spec.ID)
	if err != nil {
		return nil, err
	}
	defer snapshots.Close()
	lock, err := m.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if b, err = m.findManaged(ctx, name); err != nil { // as it is now that nobody changes it
		return nil, err
	}
	if err := m.settleSnapshots(ctx, b.Spec.ID); err != nil {
		return nil, err
	}
	h, err := m.snapshot(ctx, b, snapshot)
	if err != nil {
		return nil, err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	was := h.record.Snapshot
	ran, err := m.rollback(ctx, e, b, h, force)
	if err != nil {
		err = fail.Wrap(nil, err, "toolbox %s was not rolled back", name)
	} else {
		changed, err = settingsChanged(was.Spec, b.Spec), m.dropOlder(ctx, e, b.Spec.ID, h)
	}
	lock.Close()
	if ran { // as it was
		_, serr := m.Start(ctx, name)
		err = errors.Join(err, serr)
	}
	return changed, err
}

// rollback exchanges what is in the toolbox and in the container of a snapshot. ran says
// whether the toolbox was running, and was stopped.
func (m *Manager) rollback(ctx context.Context, e Engine, b *Box, h *holder, force bool) (ran bool, err error) {
	now, err := e.Layer(ctx, b.ID)
	if err != nil {
		return false, err
	}
	then, err := e.Layer(ctx, h.ID)
	if err != nil {
		return false, err
	}
	if err := layers.Fit(now, then); err != nil {
		return false, fail.Wrap(fail.Unable, err, "the snapshot is of another image or another storage than the toolbox has today").
			Hint("make a toolbox of it, beside this one: tbx clone --snapshot %s %s NEW", h.record.Snapshot.Name, b.Name)
	}
	if ran = b.runs(); ran {
		if err := m.stopUnused(ctx, e, b, force); err != nil {
			return false, err
		}
	}
	join.Forget(m.Host.TbxRuntime(), string(b.Name))
	s := h.record.Snapshot
	before := *s
	before.Name, before.Created, before.Toolbox = BeforeRollback, time.Now().UTC().Truncate(time.Second), b.Name
	before.Reason, before.Automatic, before.Spec = "before the rollback to "+s.Name, true, b.Spec
	before.Entries, before.Bytes = 0, 0 // nobody counted
	seen, err := m.space().Look(ctx, then, now)
	if err != nil {
		return ran, err
	}
	if seen[0].Inode != h.record.Inode {
		return ran, fail.New(nil, "the files of snapshot %s are not the ones that were recorded: something other than tbx changed %s", s.Name, then.Upper).
			Hint("look at what is there with: podman unshare ls %s", then.Upper)
	}
	h.record.Next = &before
	if err := m.saveRecord(h); err != nil {
		return ran, err
	}
	// Killed from here on, the next call sees by the directory whether it was exchanged.
	if err := m.space().Exchange(ctx, now, then, false); err != nil {
		h.record.Next = nil
		if serr := m.saveRecord(h); serr != nil {
			m.debug("%v", serr) // the next call puts it right
		}
		return ran, err
	}
	h.record.Snapshot, h.record.Inode, h.record.Next = &before, seen[1].Inode, nil
	return ran, m.saveRecord(h)
}

// stopUnused stops a toolbox in which nobody works, or with force any.
func (m *Manager) stopUnused(ctx context.Context, e Engine, b *Box, force bool) error {
	if b.State == Paused {
		return pausedError(b.Name)
	}
	if running := m.inUse(b); !force && len(running) > 0 {
		return inUseError(b.Name, running).Hint("leave it, or end what runs in it by: --force")
	}
	const grace = 2 * time.Second
	return m.stop(ctx, e, b, grace)
}

// dropOlder removes what earlier rollbacks of the toolbox left; h is the last one's.
func (m *Manager) dropOlder(ctx context.Context, e Engine, toolboxID string, h *holder) error {
	hs, err := m.holders(ctx, toolboxID)
	for _, old := range hs {
		if err == nil && old.ID != h.ID && old.record != nil && old.record.Snapshot.Name == BeforeRollback {
			err = m.dropHolder(ctx, e, old)
		}
	}
	return err
}

// Changed names the settings that are other ones now than at the snapshot, by their keys
// in the specification.
func (s *Snapshot) Changed(now *Spec) []string { return settingsChanged(s.Spec, now) }

// settingsChanged names the settings, by their keys in the specification, in which two
// differ. What a specification is known by is no setting.
func settingsChanged(then, now *Spec) []string {
	var out []string
	a, b := reflect.ValueOf(*then), reflect.ValueOf(*now)
	for i := range a.NumField() {
		key, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("toml"), ",")
		if slices.Contains([]string{"version", "id", "created", "image", "image_id"}, key) {
			continue
		}
		x, y := a.Field(i), b.Field(i)
		if x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(x.Interface(), y.Interface()) {
			out = append(out, key)
		}
	}
	return out
}
