package toolbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// The next call of tbx that works on the toolbox, or lists all, repairs an interrupted
// edit. The kept file shows that there was one; the mark in the layers shows where the
// contents are; see package layers.

// repairOf repairs an interrupted edit of a toolbox. The caller holds the toolbox's lock,
// so no edit is running.
func (m *Manager) repairOf(ctx context.Context, name Name) error {
	for _, k := range m.interrupted() {
		if k.Name != name {
			continue
		}
		e, err := m.Engine(ctx)
		if err == nil {
			err = m.repair(ctx, e, k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// repairFree is repairOf without the lock. It leaves a running edit alone.
func (m *Manager) repairFree(ctx context.Context, name Name) error {
	if !slices.ContainsFunc(m.interrupted(), func(k *kept) bool { return k.Name == name }) {
		return nil
	}
	l, err := flock.Try(m.lockFile(name))
	if errors.Is(err, flock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	return m.repairOf(ctx, name)
}

// repairAll repairs every toolbox, also without a kept file: containers that are apart
// show it. It returns whether something changed, and warns about failures.
func (m *Manager) repairAll(ctx context.Context, e Engine, all []Container) bool {
	changed := false
	for _, k := range m.unfinished(all) {
		l, err := flock.Try(m.lockFile(k.Name))
		if errors.Is(err, flock.ErrBusy) {
			continue // an edit is running
		}
		if err == nil {
			err = m.repair(ctx, e, k)
			l.Close()
		}
		if err != nil {
			hint := ""
			if hints := fail.Hints(err); len(hints) > 0 {
				hint = hints[0]
			}
			m.Progress.Warn(err.Error(), hint)
			continue
		}
		changed = true
	}
	return changed
}

// unfinished lists the kept edits, and those that only their containers show.
func (m *Manager) unfinished(all []Container) []*kept {
	out := m.interrupted()
	for i := range all {
		c := &all[i]
		name, kind, ok := apartOf(c.Name)
		rebase := kind == apartNext || kind == apartBase
		if !ok || !c.ours() || (kind != apartNew && kind != apartOld && !rebase) {
			continue
		}
		k := &kept{Name: name, Spec: labelled(c), Old: c.Labels[LabelReplaces], Hex: c.Name[len(c.Name)-8:], Rebase: rebase}
		if kind == apartOld {
			k.Old = c.ID
		}
		known := func(o *kept) bool { return o.Old == k.Old && o.Hex == k.Hex }
		if k.Old != "" && !slices.ContainsFunc(out, known) {
			out = append(out, k)
		}
	}
	return out
}

// labelled returns the specification in a container's label, or nil.
func labelled(c *Container) *Spec {
	s := &Spec{}
	if json.Unmarshal([]byte(c.Labels[LabelSpecification]), s) != nil || s.ID != c.Labels[LabelID] || s.Hash() != c.Labels[LabelSpec] {
		return nil
	}
	return s
}

// shown returns the containers that a user should see: one that is apart counts as the
// toolbox if its toolbox has no other.
func shown(all []Container) []Container {
	out := settled(all)
	for i := range all {
		name, kind, ok := apartOf(all[i].Name)
		if ok && kind == apartOld && !slices.ContainsFunc(out, func(c Container) bool { return c.Name == string(name) }) {
			c := all[i]
			c.Name = string(name)
			out = append(out, c)
		}
	}
	return out
}

// halves are the present containers of an edit.
type halves struct {
	old, new       *Container // nil: there is none
	oldHalf, newer layers.Half
}

// repair repairs one edit. The caller holds the toolbox's lock.
func (m *Manager) repair(ctx context.Context, e Engine, k *kept) error {
	if k.Rebase {
		return m.repairTurn(ctx, e, k)
	}
	if k.Back != "" {
		step, err := m.repairBack(ctx, e, k)
		if err == nil {
			m.tellBack(k, step)
		}
		return err
	}
	h, err := m.halvesOf(ctx, e, k)
	if err != nil {
		return fail.Wrap(nil, err, "the interrupted edit of toolbox %s cannot be repaired", k.Name)
	}
	step := layers.Decide(h.oldHalf, h.newer)
	m.debug("the edit of toolbox %s was interrupted: old %v, new %v: step %d", k.Name, h.oldHalf, h.newer, step)
	switch step {
	case layers.Nothing:
	case layers.DropNew:
		err = m.removeHalf(ctx, e, h.new)
	case layers.GoBack:
		if err = e.Rename(ctx, h.old.ID, string(k.Name)); err == nil && h.new != nil {
			err = m.removeHalf(ctx, e, h.new)
		}
	case layers.GoOn:
		if err = e.Rename(ctx, h.new.ID, string(k.Name)); err == nil {
			h.new.Name = string(k.Name)
			err = m.finish(ctx, e, k, h)
		}
	case layers.Finish:
		err = m.finish(ctx, e, k, h)
	case layers.Ambiguous:
		return ambiguousError(k, h)
	}
	if err != nil {
		return fail.Wrap(nil, err, "the interrupted edit of toolbox %s cannot be repaired yet; nothing in it is lost", k.Name).
			Hint("after removing the cause, call: tbx list")
	}
	if h.new == nil && k.Hex != "" { // a killed podman may have left the name in its storage
		_ = e.Remove(ctx, apart(k.Name, apartNew, k.Hex), true)
	}
	m.forgetRecord(k.Name)
	if k.Spec != nil {
		m.drop(k.Spec.ID, editNow)
	}
	m.tellRepaired(k, step, h.old != nil && !h.old.ours())
	return nil
}

func (m *Manager) tellRepaired(k *kept, step layers.Step, adopted bool) {
	what, again, is, back := "an edit", "edit it again, if you still want to", "has its new settings", "tbx edit --undo "
	if adopted {
		what, again, is, back = "adopting", "adopt it again, if you still want to", "belongs to tbx", "tbx adopt --undo "
	}
	what += map[bool]string{true: " toolbox ", false: " of toolbox "}[adopted] + string(k.Name)
	switch step {
	case layers.DropNew, layers.GoBack:
		m.Progress.Warn(what+" was interrupted: the toolbox is as it was", again)
	case layers.GoOn, layers.Finish:
		m.Progress.Warn(what+" was interrupted, and is completed now: the toolbox "+is, "undo it with: "+back+string(k.Name))
	}
}

// halvesOf finds the containers of an edit.
func (m *Manager) halvesOf(ctx context.Context, e Engine, k *kept) (*halves, error) {
	h := &halves{}
	var err error
	if h.old, err = m.halfRemoved(ctx, e, k.Old); err != nil {
		return nil, err
	}
	if h.old != nil && !sameWork(h.old.Name, k.Hex) {
		h.old = nil // it is apart for another edit, which has its own
	}
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ours() && sameWork(all[i].Name, k.Hex) && all[i].Labels[LabelReplaces] == k.Old &&
			(k.Spec == nil || all[i].Labels[LabelID] == k.Spec.ID) {
			if h.new, err = m.halfRemoved(ctx, e, all[i].ID); err != nil {
				return nil, err
			}
		}
	}
	if h.oldHalf, err = m.half(ctx, e, h.old, k.Name); err != nil {
		return nil, err
	}
	h.newer, err = m.half(ctx, e, h.new, k.Name)
	return h, err
}

// halfRemoved is a container, or nil where there is none. What a podman that was killed left
// of one is removed.
func (m *Manager) halfRemoved(ctx context.Context, e Engine, id string) (*Container, error) {
	c, err := e.Inspect(ctx, id)
	switch {
	case errors.Is(err, ErrNoStorage):
		if err = e.Remove(ctx, id, true); errors.Is(err, fail.NotFound) {
			err = nil
		}
		return nil, err
	case errors.Is(err, fail.NotFound):
		return nil, nil
	}
	return c, err
}

// half returns a container's state in the edit: its name, and whether it has the mark.
func (m *Manager) half(ctx context.Context, e Engine, c *Container, name Name) (layers.Half, error) {
	if c == nil {
		return layers.Half{}, nil
	}
	h := layers.Half{Place: layers.Elsewhere}
	if _, _, ok := apartOf(c.Name); ok {
		h.Place = layers.Apart
	} else if c.Name == string(name) {
		h.Place = layers.AtName
	}
	l, err := e.Layer(ctx, c.ID)
	if err != nil {
		return h, err
	}
	seen, err := m.space().Look(ctx, l)
	if err != nil {
		return h, err
	}
	if seen[0].Missing {
		return h, fail.New(nil, "container %s has lost its layer %s", c.Name, l.Upper)
	}
	h.Marked, h.Empty = seen[0].Marked, seen[0].Empty
	return h, nil
}

// removeHalf removes a container of an edit that has none of the user's files.
func (m *Manager) removeHalf(ctx context.Context, e Engine, c *Container) error {
	b := &Box{Name: Name(c.Name), Container: *c, Spec: labelled(c)}
	if b.runs() && b.Spec != nil {
		if err := m.halt(ctx, e, b, 0); err != nil {
			return err
		}
	}
	if err := e.Remove(ctx, c.ID, true); !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}

// finish records the settings of the new container, moves the files that belong to its
// layer, and removes the old one.
func (m *Manager) finish(ctx context.Context, e Engine, k *kept, h *halves) error {
	s := labelled(h.new)
	if s == nil {
		s = k.Spec
	}
	if s != nil {
		if err := saveSpec(m.Host.Dirs.Config, Name(h.new.Name), s); err != nil {
			return err
		}
		k.Spec = s
	}
	if h.old == nil {
		return nil
	}
	data := func(c *Container) string { return filepath.Join(filepath.Dir(c.NamesTable), c.ID, "tbx") }
	if err := m.space().Move(ctx, [2]string{data(h.old), data(h.new)}); err != nil {
		return err
	}
	if was := cmp.Or(k.Was, labelled(h.old)); was != nil {
		if err := m.keep(editBefore, &kept{Name: k.Name, Spec: was}); err != nil {
			return err
		}
	}
	if s != nil {
		m.drop(s.ID, editWaiting)
	}
	if !h.old.ours() {
		return m.setAside(ctx, e, k, h.old.ID)
	}
	return m.removeHalf(ctx, e, h.old)
}

// ambiguousError describes the containers when it is unknown which one is the toolbox.
func ambiguousError(k *kept, h *halves) error {
	err := fail.New(nil, "an edit of toolbox %s was interrupted, and its containers were changed since: tbx touches none of them", k.Name)
	for _, c := range []*Container{h.old, h.new} {
		if c != nil {
			err.Hint("look into container %s (%.12s) with: podman diff %.12s", c.Name, c.ID, c.ID)
		}
	}
	return err.Hint("rename the one with your files: podman rename CONTAINER %s", k.Name)
}
