package toolbox

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/nearest"
)

// Snapshots returns the snapshots of the toolbox with that specification id, or with ""
// of all, the oldest first. It repairs what a killed tbx left, unless another tbx works
// on it.
func (m *Manager) Snapshots(ctx context.Context, toolboxID string) ([]*Snapshot, error) {
	hs, err := m.holders(ctx, toolboxID)
	if err != nil {
		return nil, err
	}
	unsettled := map[string]bool{}
	for _, h := range hs {
		if h.unsettled() {
			unsettled[h.Labels[LabelSnapshotOf]] = true
		}
	}
	for id := range unsettled {
		lock, err := flock.Try(m.snapshotsLock(id))
		if errors.Is(err, flock.ErrBusy) {
			continue // another tbx works on it
		} else if err != nil {
			return nil, err
		}
		err = m.settleSnapshots(ctx, id)
		lock.Close()
		if err != nil {
			return nil, err
		}
	}
	if len(unsettled) > 0 {
		if hs, err = m.holders(ctx, toolboxID); err != nil {
			return nil, err
		}
	}
	m.tellLost(toolboxID)
	return finished(hs), nil
}

// finished returns the complete snapshots, sorted by time.
func finished(hs []*holder) []*Snapshot {
	out := []*Snapshot{}
	for _, h := range hs {
		if h.record != nil && h.record.Next == nil {
			out = append(out, h.record.Snapshot)
		}
	}
	slices.SortFunc(out, func(a, b *Snapshot) int {
		return cmp.Or(cmp.Compare(a.Toolbox, b.Toolbox), a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// holders returns the containers that keep snapshots of the toolbox, or of all.
func (m *Manager) holders(ctx context.Context, toolboxID string) ([]*holder, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	label := LabelSnapshotOf
	if toolboxID != "" {
		label += "=" + toolboxID
	}
	all, err := e.Labelled(ctx, label)
	if err != nil {
		return nil, err
	}
	var out []*holder
	for i := range all {
		if !isHolder(&all[i]) {
			continue
		}
		h, err := openHolder(ctx, e, all[i].ID)
		if errors.Is(err, fail.NotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if h.bad != nil { // the others are useful without it
			m.Progress.Warn(h.bad.Error(), strings.Join(fail.Hints(h.bad), "; "))
		}
		out = append(out, h)
	}
	return out, nil
}

func openHolder(ctx context.Context, e Engine, id string) (*holder, error) {
	c, err := e.Inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	h := &holder{Container: *c, dir: filepath.Join(filepath.Dir(c.NamesTable), c.ID)}
	h.bad = h.load()
	return h, nil
}

func (m *Manager) snapshotsLock(toolboxID string) string {
	return filepath.Join(m.Host.TbxRuntime(), "locks", ".snapshots-"+toolboxID)
}

// lockSnapshots lets one tbx at a time work on the snapshots of a toolbox. The toolbox
// itself can be used meanwhile.
func (m *Manager) lockSnapshots(ctx context.Context, toolboxID string) (*flock.Lock, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("waited two minutes"))
	defer cancel()
	l, err := flock.Wait(ctx, m.snapshotsLock(toolboxID))
	if err != nil {
		return nil, fail.Wrap(nil, err, "the snapshots of the toolbox cannot be worked on")
	}
	return l, nil
}

// settleSnapshots repairs what a killed tbx left of a snapshot of the toolbox or of a
// rollback. The caller has the lock.
func (m *Manager) settleSnapshots(ctx context.Context, toolboxID string) error {
	hs, err := m.holders(ctx, toolboxID)
	if err != nil {
		return err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	for _, h := range hs {
		switch {
		case !h.unsettled():
		case h.record == nil:
			err = m.dropHolder(ctx, e, h)
		default:
			err = m.settleRollback(ctx, e, h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settleRollback finds out by the directory of a container's layer whether a rollback was
// carried out.
func (m *Manager) settleRollback(ctx context.Context, e Engine, h *holder) error {
	l, err := e.Layer(ctx, h.ID)
	if err != nil {
		return err
	}
	seen, err := m.space().Look(ctx, l)
	if err != nil {
		return err
	}
	if seen[0].Missing {
		return fail.New(nil, "the files of snapshot %s are not where podman expects them: %s", h.record.Snapshot.Name, l.Upper)
	}
	if seen[0].Inode != h.record.Inode {
		h.record.Snapshot, h.record.Inode = h.record.Next, seen[0].Inode
	}
	h.record.Next = nil
	return m.saveRecord(h)
}

// dropHolder removes a container with its snapshot. It removes the notice first, or
// another tbx would report the snapshot as lost.
func (m *Manager) dropHolder(ctx context.Context, e Engine, h *holder) error {
	if l, err := e.Layer(ctx, h.ID); err == nil && l.Driver == "vfs" { // vfs does not remove it with the container
		if err := m.space().RemovePart(ctx, l.Upper); err != nil {
			return err
		}
	}
	m.forgetSnapshot(h.ID)
	err := e.Remove(ctx, h.ID, true)
	if err == nil || errors.Is(err, fail.NotFound) {
		return nil
	}
	err = fail.Wrap(nil, err, "the snapshot in container %s cannot be removed", h.Name)
	if h.record != nil {
		err = errors.Join(err, m.rememberSnapshot(h))
	}
	return err
}

// snapshot finds a snapshot of the toolbox by its name.
func (m *Manager) snapshot(ctx context.Context, b *Box, name string) (*holder, error) {
	hs, err := m.holders(ctx, b.Spec.ID)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range hs {
		if h.record == nil {
			continue
		}
		if h.record.Snapshot.Name == name {
			return h, nil
		}
		names = append(names, h.record.Snapshot.Name)
	}
	m.tellLost(b.Spec.ID)
	e := fail.New(fail.NotFound, "toolbox %s has no snapshot %s", b.Name, name)
	if near := nearest.Names(name, names); len(near) > 0 {
		e.Hint("did you mean %s?", strings.Join(near, ", "))
	}
	return nil, e.Hint("see which there are: tbx snapshot list %s", b.Name)
}

// findManaged finds a toolbox of tbx with a usable specification.
func (m *Manager) findManaged(ctx context.Context, name Name) (*Box, error) {
	b, err := m.Find(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case b.SpecErr != nil:
		return nil, b.SpecErr
	case b.Ephemeral():
		return nil, fail.New(fail.Usage, "toolbox %s will be removed when its session ends: it can have no snapshots and no clones", name).
			Hint("make a lasting one with: tbx create")
	case b.Spec == nil:
		return nil, foreignError(b, "keeps no snapshots of those, and makes no clones")
	}
	return b, nil
}

// SnapshotOf returns one snapshot of a toolbox.
func (m *Manager) SnapshotOf(ctx context.Context, name Name, snapshot string) (*Snapshot, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := m.Snapshots(ctx, b.Spec.ID); err != nil { // repairs interrupted work
		return nil, err
	}
	h, err := m.snapshot(ctx, b, snapshot)
	if err != nil {
		return nil, err
	}
	return h.record.Snapshot, nil
}

// SnapshotsOf returns the snapshots of the toolbox of that name.
func (m *Manager) SnapshotsOf(ctx context.Context, name Name) ([]*Snapshot, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	return m.Snapshots(ctx, b.Spec.ID)
}

// RemoveSnapshot removes one for good.
func (m *Manager) RemoveSnapshot(ctx context.Context, s *Snapshot) error {
	lock, err := m.lockSnapshots(ctx, s.ToolboxID)
	if err != nil {
		return err
	}
	defer lock.Close()
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	h, err := openHolder(ctx, e, s.Container)
	if errors.Is(err, fail.NotFound) {
		return fail.New(fail.NotFound, "snapshot %s of toolbox %s is gone already", s.Name, s.Toolbox)
	}
	if err != nil {
		return err
	}
	if h.bad != nil {
		return h.bad
	}
	if h.record == nil || h.record.Snapshot.Name != s.Name || !h.record.Snapshot.Created.Equal(s.Created) {
		return fail.New(nil, "snapshot %s of toolbox %s was changed meanwhile by another tbx", s.Name, s.Toolbox).
			Hint("see which there are: tbx snapshot list %s", s.Toolbox)
	}
	m.stage("removing snapshot %s of toolbox %s", s.Name, s.Toolbox)
	return m.dropHolder(ctx, e, h)
}

// removeSnapshots removes all snapshots of a removed toolbox.
func (m *Manager) removeSnapshots(ctx context.Context, e Engine, toolboxID string) error {
	if toolboxID == "" {
		return nil
	}
	lock, err := m.lockSnapshots(ctx, toolboxID)
	if err != nil {
		return err
	}
	defer lock.Close()
	hs, err := m.holders(ctx, toolboxID)
	for _, h := range hs {
		if err == nil {
			err = m.dropHolder(ctx, e, h)
		}
	}
	return err
}

// sweepStored removes leftovers of a killed podman in its storage, of a container for a
// snapshot or a clone. A container that podman is still making appears within a moment.
func (m *Manager) sweepStored(ctx context.Context, e Engine) error {
	names, err := e.Stored(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, kind, isApart := apartOf(name)
		if !holderName.MatchString(name) && !(isApart && kind == apartClone) || !m.halfMade(ctx, e, Name(name)) {
			continue
		}
		if err := e.Remove(ctx, name, true); err != nil && !errors.Is(err, fail.NotFound) {
			return fail.Wrap(nil, err, "%s, which podman did not finish, cannot be removed", name)
		}
	}
	return nil
}
