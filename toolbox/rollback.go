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

// Rollback returns the toolbox to a snapshot, in one step and without a copy. Its
// contents until now become the snapshot BeforeRollback, which replaces the snapshot that
// was rolled back to and an older BeforeRollback. force ends its processes; without it, a
// toolbox in use is left alone. It returns the names of the settings that differ from
// those at the snapshot: they stay as they are.
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
	if b, err = m.findManaged(ctx, name); err != nil { // again, now that nobody else changes it
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
	keeper, ran, err := m.rollback(ctx, e, b, h, force)
	if err != nil {
		err = fail.Wrap(nil, err, "toolbox %s was not rolled back", name)
	} else {
		removeFile(m.AppliedFile(b.Spec.ID)) // it describes contents that are gone
		changed, err = settingsChanged(was.Spec, b.Spec), m.dropOlder(ctx, e, b.Spec.ID, keeper)
	}
	lock.Close()
	if ran { // as before
		_, serr := m.Start(ctx, name)
		err = errors.Join(err, serr)
	}
	return changed, err
}

// rollback exchanges the contents of the toolbox and of a snapshot. It returns the id of
// the container with the old contents. ran reports whether the toolbox was running, and
// was stopped.
func (m *Manager) rollback(ctx context.Context, e Engine, b *Box, h *holder, force bool) (keeper string, ran bool, err error) {
	now, err := e.Layer(ctx, b.ID)
	if err != nil {
		return "", false, err
	}
	then, err := e.Layer(ctx, h.ID)
	if err != nil {
		return "", false, err
	}
	seen, err := m.space().Look(ctx, then, now)
	if err != nil {
		return "", false, err
	}
	if seen[0].Inode != h.record.Inode {
		return "", false, fail.New(nil, "the files of snapshot %s are not the recorded ones: another program changed %s",
			h.record.Snapshot.Name, then.Upper).
			Hint("look at what is there with: podman unshare ls %s", then.Upper)
	}
	otherImage := now.Image != then.Image
	if err := layers.Fit(now, then); err != nil && !otherImage {
		return "", false, fail.Wrap(fail.Unable, err, "the snapshot and the toolbox are in different storages").
			Hint("make a second toolbox from it: tbx clone --snapshot %s %s NEW", h.record.Snapshot.Name, b.Name)
	}
	if ran = b.runs(); ran {
		if err := m.stopUnused(ctx, e, b, force); err != nil {
			return "", false, err
		}
	}
	join.Forget(m.Host.TbxRuntime(), string(b.Name))
	before := beforeRollback(b, h.record.Snapshot)
	if otherImage {
		keeper, err = m.rollbackImage(ctx, e, b, h, before)
		return keeper, ran, err
	}
	h.record.Next = before
	if err := m.saveRecord(h); err != nil {
		return "", ran, err
	}
	// If tbx is killed from here on, the next call sees by the directory whether the
	// exchange was done.
	if err := m.space().Exchange(ctx, now, then, false); err != nil {
		h.record.Next = nil
		if serr := m.saveRecord(h); serr != nil {
			m.debug("%v", serr) // the next call repairs it
		}
		return "", ran, err
	}
	h.record.Snapshot, h.record.Inode, h.record.Next = before, seen[1].Inode, nil
	return h.ID, ran, m.saveRecord(h)
}

// beforeRollback returns the snapshot that a rollback to s leaves of b.
func beforeRollback(b *Box, s *Snapshot) *Snapshot {
	before := *s // its files are not counted
	before.Name, before.Created, before.Toolbox = BeforeRollback, time.Now().UTC().Truncate(time.Second), b.Name
	before.Reason, before.Automatic, before.Spec = "before the rollback to "+s.Name, true, b.Spec
	before.Image, before.ImageID = b.Spec.Image, b.Spec.ImageID
	before.Entries, before.Bytes = 0, 0
	return &before
}

// rollbackImage rolls back to a snapshot of another image than the toolbox has today, as
// before a rebase: a container of that image takes the toolbox's place.
func (m *Manager) rollbackImage(ctx context.Context, e Engine, b *Box, h *holder, before *Snapshot) (keeper string, err error) {
	s := *b.Spec
	s.Image, s.ImageID = h.record.Snapshot.Image, h.record.Snapshot.ImageID
	k := &kept{Name: b.Name, Spec: &s, Was: b.Spec, Old: b.ID, Hex: apartHex(), Rebase: true}
	if err := m.keep(editNow, k); err != nil {
		return "", err
	}
	r := &Rebasing{m: m, e: e, k: k, was: b}
	defer func() {
		if k.Turn == nil || err == nil { // else the next call does it
			err = errors.Join(err, m.dropApart(context.WithoutCancel(ctx), e, k))
			m.drop(s.ID, editNow)
		}
	}()
	mute := *m
	mute.Progress = muted{m.Progress, true}
	next, err := r.start(ctx, &mute, apartNext, &s, Image{s.Image, s.ImageID, h.Env})
	if err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx) // from here on, it is completed in any case
	if err := m.halt(ctx, e, next, 0); err != nil {
		return "", err
	}
	if keeper, err = e.Create(ctx, m.newHolder(b.Spec)); err != nil {
		return "", err
	}
	t := &turn{Keeper: keeper, Record: &record{Snapshot: before}, New: next.ID, Drop: []string{b.ID, h.ID}}
	return keeper, m.carryOutTurn(ctx, e, k, [][2]string{{h.ID, next.ID}, {b.ID, keeper}}, t)
}

// stopUnused stops a toolbox that nobody uses, or with force any.
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

// dropOlder removes the snapshots that earlier rollbacks of the toolbox left; keeper has
// the last one.
func (m *Manager) dropOlder(ctx context.Context, e Engine, toolboxID, keeper string) error {
	hs, err := m.holders(ctx, toolboxID)
	for _, old := range hs {
		if err == nil && old.ID != keeper && old.record != nil && old.record.Snapshot.Name == BeforeRollback {
			err = m.dropHolder(ctx, e, old)
		}
	}
	return err
}

// Changed returns the settings that differ from those at the snapshot, by their keys in
// the specification.
func (s *Snapshot) Changed(now *Spec) []string { return settingsChanged(s.Spec, now) }

// settingsChanged returns the keys of the settings that differ between two
// specifications. The keys that identify a specification are not settings.
func settingsChanged(then, now *Spec) []string {
	var out []string
	a, b := reflect.ValueOf(*then), reflect.ValueOf(*now)
	for i := range a.NumField() {
		key, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("toml"), ",")
		if slices.Contains([]string{"version", "id", "created", "image", "image_id", "adopted"}, key) {
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
