package toolbox

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// A toolbox changes its image when a container of the new image takes its place. The old
// contents become a snapshot: their layer is exchanged with the empty one of a container
// that keeps it. That takes several steps. All are written down before the first, and
// whoever finds the file carries out the rest. The directory of a layer, which moves
// along with it, shows whether an exchange was done.

// turn is the written plan.
type turn struct {
	Keeper    string     // podman's id of the container that will keep the snapshot
	Record    *record    // the record to write beside it
	New       string     // the container that will be the toolbox
	Exchanges []exchange // in this order
	Drop      []string   // containers to remove in the end
}

// exchange is an exchange of layers between two containers.
type exchange struct {
	A, B  string
	Inode uint64 // of A's directory before
}

// planTurn writes a turn down; from then on it is carried out in any case.
func (m *Manager) planTurn(ctx context.Context, e Engine, k *kept, pairs [][2]string, t *turn) error {
	for _, p := range pairs {
		a, b, err := m.pair(ctx, e, p[0], p[1])
		if err == nil {
			err = m.unmounted(ctx, k.Name, a, b)
		}
		if err != nil {
			return err
		}
		seen, err := m.space().Look(ctx, a)
		if err != nil {
			return err
		}
		t.Exchanges = append(t.Exchanges, exchange{p[0], p[1], seen[0].Inode})
		if p[1] == t.Keeper {
			t.Record.Inode = seen[0].Inode
		}
	}
	t.Record.Snapshot.Container = t.Keeper
	planned := *k
	planned.Turn = t
	if err := m.keep(editNow, &planned); err != nil {
		return err
	}
	k.Turn = t
	return nil
}

// pair returns the layers of two containers, if they fit.
func (m *Manager) pair(ctx context.Context, e Engine, a, b string) (*layers.Layer, *layers.Layer, error) {
	x, err := e.Layer(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	y, err := e.Layer(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	return x, y, layers.Fit(x, y)
}

// carryOutTurn writes a turn down and carries it out. If no step of it was done, it
// removes the new containers.
func (m *Manager) carryOutTurn(ctx context.Context, e Engine, k *kept, pairs [][2]string, t *turn) error {
	err := m.planTurn(ctx, e, k, pairs, t)
	if err == nil {
		err = m.turnOver(ctx, e, k)
	}
	if err == nil {
		return nil
	}
	if k.Turn != nil && m.turnBegun(ctx, e, k) {
		return fail.Wrap(errTurning, err, "it was interrupted; nothing in the toolbox is lost").
			Hint("after removing the cause, the next call completes it: tbx list")
	}
	k.Turn = nil
	return errors.Join(err, m.keep(editNow, k), m.dropHolder(ctx, e, &holder{Container: Container{ID: t.Keeper, Name: t.Keeper}}))
}

// errTurning is the kind of error after which the next call completes the turn.
var errTurning = errors.New("in the middle of a turn")

// turnOver carries out the rest of a turn. The caller holds the locks of the toolbox and
// of its snapshots. After an error the next call does the rest.
func (m *Manager) turnOver(ctx context.Context, e Engine, k *kept) error {
	ctx = context.WithoutCancel(ctx)
	t := k.Turn
	if err := m.recordKeeper(ctx, e, k); err != nil {
		return err
	}
	for _, x := range t.Exchanges {
		if err := m.exchangeOnce(ctx, e, x); err != nil {
			return err
		}
	}
	if err := saveSpec(m.Host.Dirs.Config, k.Name, k.Spec); err != nil {
		return err
	}
	if err := m.renameOnce(ctx, e, k); err != nil {
		return err
	}
	m.forgetRecord(k.Name)
	for _, id := range t.Drop {
		if err := e.Remove(ctx, id, true); err != nil && !errors.Is(err, fail.NotFound) {
			return err
		}
		m.forgetSnapshot(id) // if it kept one
	}
	if err := m.dropApart(ctx, e, k); err != nil {
		return err
	}
	m.drop(k.Spec.ID, editWaiting)
	m.drop(k.Spec.ID, editNow) // last: by it the next call knows what is left to do
	return nil
}

// errNotBegun means that no step of a turn was done, and none can be.
var errNotBegun = errors.New("nothing was exchanged")

// recordKeeper writes the snapshot's record.
func (m *Manager) recordKeeper(ctx context.Context, e Engine, k *kept) error {
	h, err := openHolder(ctx, e, k.Turn.Keeper)
	if errors.Is(err, fail.NotFound) {
		if m.turnBegun(ctx, e, k) {
			return nil // somebody removed the snapshot, and the turn continues without
		}
		return errNotBegun
	}
	if err != nil {
		return err
	}
	h.record = k.Turn.Record
	return m.saveRecord(h)
}

// turnBegun reports whether the first exchange of a turn was done, or may have been.
func (m *Manager) turnBegun(ctx context.Context, e Engine, k *kept) bool {
	x := k.Turn.Exchanges[0]
	a, err := e.Layer(ctx, x.A)
	if err != nil {
		return true
	}
	seen, err := m.space().Look(ctx, a)
	return err != nil || seen[0].Inode != x.Inode
}

func (m *Manager) exchangeOnce(ctx context.Context, e Engine, x exchange) error {
	a, b, err := m.pair(ctx, e, x.A, x.B)
	if errors.Is(err, fail.NotFound) {
		return nil // done, and one of them was removed afterwards
	}
	if err != nil {
		return err
	}
	seen, err := m.space().Look(ctx, a)
	if err != nil || seen[0].Inode != x.Inode {
		return err
	}
	return m.space().Exchange(ctx, a, b, false)
}

// renameOnce gives the new container the name, and moves the files that belong to the
// layer.
func (m *Manager) renameOnce(ctx context.Context, e Engine, k *kept) error {
	c, err := e.Inspect(ctx, k.Turn.New)
	if err != nil {
		return err
	}
	old, err := e.Inspect(ctx, k.Old)
	if err != nil && !errors.Is(err, fail.NotFound) {
		return err
	}
	if err == nil && old.Name == string(k.Name) {
		if err := e.Rename(ctx, old.ID, apart(k.Name, apartOld, k.Hex)); err != nil {
			return err
		}
	}
	if c.Name != string(k.Name) {
		if err := e.Rename(ctx, c.ID, string(k.Name)); err != nil {
			return err
		}
	}
	if old == nil {
		return nil
	}
	data := func(c *Container) string { return filepath.Join(filepath.Dir(c.NamesTable), c.ID, "tbx") }
	return m.space().Move(ctx, [2]string{data(old), data(c)})
}

// repairTurn ends an interrupted change of the image: it carries out the written plan, or
// removes the new containers.
func (m *Manager) repairTurn(ctx context.Context, e Engine, k *kept) error {
	const failed = "the change of toolbox %s to another image was interrupted, and cannot be repaired yet; nothing in it is lost"
	err := errNotBegun
	if k.Turn != nil {
		err = m.turnOver(ctx, e, k)
	}
	if err != nil && !errors.Is(err, errNotBegun) {
		return fail.Wrap(nil, err, failed, k.Name).Hint("after removing the cause, call: tbx list")
	}
	if err == nil {
		m.Progress.Warn("the change of toolbox "+string(k.Name)+" to another image was interrupted, and is completed now: it "+
			"is made from "+k.Spec.Image,
			"what it held before is a snapshot: tbx snapshot list "+string(k.Name))
		return nil
	}
	if err := m.dropApart(ctx, e, k); err != nil {
		return fail.Wrap(nil, err, failed, k.Name).Hint("when the cause is gone: tbx list")
	}
	if k.Spec != nil {
		m.drop(k.Spec.ID, editNow)
	}
	if k.Spec != nil && k.Was != nil && k.Spec.ImageID == k.Was.ImageID {
		return nil // it was only compared
	}
	m.Progress.Warn("the change of toolbox "+string(k.Name)+" to another image was interrupted: the toolbox is as it was",
		"change it again, if you still want to: tbx rebase")
	return nil
}

// dropApart removes the containers in which a rebase worked, and their logs and records.
func (m *Manager) dropApart(ctx context.Context, e Engine, k *kept) error {
	for _, kind := range []string{apartNext, apartBase} {
		name := apart(k.Name, kind, k.Hex)
		c, err := e.Inspect(ctx, name)
		switch {
		case err == nil && c.Name == name:
			err = m.removeHalf(ctx, e, c)
		case errors.Is(err, fail.NotFound), errors.Is(err, ErrNoStorage): // a killed podman may have left the name in its storage
			_ = e.Remove(ctx, name, true)
			err = nil
		}
		if err != nil {
			return err
		}
		removeFile(m.logFile(Name(name)))
		m.forgetRecord(Name(name))
	}
	return nil
}
