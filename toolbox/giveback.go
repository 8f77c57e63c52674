package toolbox

import (
	"context"
	"errors"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// Return is the plan of giving an adopted toolbox back, or its result.
type Return struct {
	Name      Name // tbx's toolbox, which is removed
	Maker     Maker
	Original  Name // its maker's name for it; empty: it is gone
	Move      bool // the files go back; else the copy is removed, and the original stays as it is
	Snapshots int  // number removed with the toolbox
	InUse     []Process

	box   *Box
	aside *Container
}

// PlanGiveBack returns what GiveBack would do. It changes nothing.
func (m *Manager) PlanGiveBack(ctx context.Context, name Name) (*Return, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	return m.planGiveBack(ctx, b)
}

func (m *Manager) planGiveBack(ctx context.Context, b *Box) (*Return, error) {
	maker, id, ok := strings.Cut(b.Spec.Adopted, "/")
	if !ok {
		return nil, fail.New(fail.Usage, "toolbox %s was not adopted: tbx made it", b.Name).Hint("see which there are: tbx list")
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	r := &Return{Name: b.Name, Maker: Maker(maker), box: b}
	if r.aside, err = m.asideOf(ctx, e, b.Spec); err != nil {
		return nil, err
	}
	if r.aside != nil {
		r.Move = true
		r.Original, _ = setAside(r.aside)
	} else if c, err := e.Inspect(ctx, id); err == nil && c.ID == id {
		r.Original = Name(c.Name)
	} else if err != nil && !errors.Is(err, fail.NotFound) {
		return nil, err
	}
	all, err := m.Snapshots(ctx, b.Spec.ID)
	if r.Snapshots = len(all); err != nil {
		return nil, err
	}
	if b.runs() && m.alive(b) {
		r.InUse = m.inUse(b)
	}
	return r, nil
}

// GiveBack returns an adopted toolbox to its maker. A moved one gets its name and its
// files back, with all later changes; a copy is removed. tbx's toolbox and its snapshots
// are removed. force ends its processes, and gives up files that somebody added to the
// original since it was set aside.
func (m *Manager) GiveBack(ctx context.Context, name Name, force bool) (*Return, error) {
	lock, err := m.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { lock.Close() }()
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := m.planGiveBack(ctx, b)
	switch {
	case err != nil:
		return nil, err
	case len(r.InUse) > 0 && !force:
		return nil, inUseError(name, r.InUse).Hint("leave it, or end what runs in it by: --force")
	case !r.Move && r.Original == "":
		return nil, fail.New(nil, "the original of toolbox %s is gone, so it cannot be given back", name).
			Hint("it stays a toolbox of tbx, and works: tbx enter %s", name)
	case !r.Move:
		lock.Close()
		return r, m.Remove(ctx, name, true)
	}
	if err := m.giveBack(ctx, r, force); err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s was not given back to %s", name, r.Maker)
	}
	return r, nil
}

// giveBack exchanges the contents of the toolbox and of the container that was set aside.
func (m *Manager) giveBack(ctx context.Context, r *Return, force bool) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	b, c := r.box, r.aside
	if err := m.mayTakeBack(ctx, e, r, force); err != nil {
		return err
	}
	toolbox, original, err := m.bothLayers(ctx, e, b.ID, c.ID)
	if err != nil {
		return err
	}
	m.stage("giving toolbox %s back to %s", b.Name, r.Maker)
	ctx = context.WithoutCancel(ctx)
	if b.runs() {
		if err := m.stop(ctx, e, b, stopGrace); err != nil {
			return err
		}
	}
	if err := m.restoreInside(ctx, e, b); err != nil {
		return err
	}
	k := &kept{Name: b.Name, Spec: b.Spec, Old: b.ID, Hex: apartHex(), Back: c.ID, Orig: r.Original}
	if err := m.keep(editNow, k); err != nil {
		return err
	}
	join.Forget(m.Host.TbxRuntime(), string(b.Name))
	err = e.Rename(ctx, b.ID, apart(b.Name, apartOld, k.Hex))
	if err == nil {
		err = m.space().Exchange(ctx, toolbox, original, true)
	}
	_, rerr := m.repairBack(ctx, e, k) // completes it, or reverts it
	return errors.Join(err, rerr)
}

// mayTakeBack refuses if something would be lost.
func (m *Manager) mayTakeBack(ctx context.Context, e Engine, r *Return, force bool) error {
	c := r.aside
	if (&Box{Container: *c}).runs() {
		return fail.New(nil, "container %s, which was set aside for this, runs", c.Name).Hint("stop it with: podman stop %s", c.Name)
	}
	if c.Started.After(r.box.Spec.Created) && !force {
		return fail.New(nil, "container %s was started since it was set aside, and has files of its own", c.Name).
			Hint("copy what you need out of it: podman cp %s:DIRECTORY DIRECTORY", c.Name).Hint("then give up the rest with: --force")
	}
	if r.Original == r.Name {
		return nil
	}
	there, err := e.Inspect(ctx, string(r.Original))
	if err == nil && there.Name == string(r.Original) {
		return fail.New(fail.Exists, "its former name, %s, belongs to another container now", r.Original).
			Hint("rename that one first: podman rename %s NEW", r.Original)
	}
	if err != nil && !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}

func (m *Manager) bothLayers(ctx context.Context, e Engine, a, b string) (x, y *layers.Layer, err error) {
	if x, err = e.Layer(ctx, a); err == nil {
		y, err = e.Layer(ctx, b)
	}
	if err == nil {
		err = layers.Fit(x, y)
	}
	return x, y, err
}

// restoreInside makes tbx-box restore in the toolbox what the adoption cleared. If tbx is
// killed after that, the next start of the toolbox clears it again.
func (m *Manager) restoreInside(ctx context.Context, e Engine, b *Box) error {
	version, err := installBox(b.boxDir(m.Host), m.BoxFile)
	if err != nil {
		return err
	}
	ran, err := m.run(ctx, e, b)
	if err != nil {
		return err
	}
	log := m.openLog(b.Name)
	defer log.Close()
	cfg := boxinit.Config{GiveBack: true, User: boxinit.User{Name: m.Host.User}}
	i := initRun{manager: m, name: b.Name, log: log, config: cfg}
	_, err = i.byEngine(ctx, e, ran.ID, boxPath(boxinit.BoxDir, version))
	return errors.Join(err, m.halt(ctx, e, ran, 0))
}

// repairBack completes or reverts an interrupted giving back, by the contents of the
// layers; see package layers. The caller holds the toolbox's lock.
func (m *Manager) repairBack(ctx context.Context, e Engine, k *kept) (layers.Step, error) {
	h := &halves{}
	for _, c := range []struct {
		id   string
		is   **Container
		half *layers.Half
		name Name
	}{{k.Old, &h.old, &h.oldHalf, k.Name}, {k.Back, &h.new, &h.newer, k.Orig}} {
		var err error
		if *c.is, err = e.Inspect(ctx, c.id); errors.Is(err, fail.NotFound) {
			*c.is, err = nil, nil
		}
		if err == nil {
			*c.half, err = m.half(ctx, e, *c.is, c.name)
		}
		if err != nil {
			return layers.Ambiguous, fail.Wrap(nil, err,
				"giving toolbox %s back was interrupted, and cannot be repaired yet; nothing in it is lost", k.Name).
				Hint("after removing the cause, call: tbx list")
		}
	}
	step := layers.Decide(h.oldHalf, h.newer)
	if h.old == nil && h.newer.Marked {
		step = layers.Nothing // the toolbox was removed
	}
	m.debug("toolbox %s is given back: it %v, the original %v: step %d", k.Name, h.oldHalf, h.newer, step)
	var err error
	switch step {
	case layers.Nothing, layers.DropNew:
		m.drop(k.Spec.ID, editNow)
	case layers.GoBack:
		if err = e.Rename(ctx, h.old.ID, string(k.Name)); err == nil {
			m.drop(k.Spec.ID, editNow)
		}
	case layers.GoOn:
		if err = e.Rename(ctx, h.new.ID, string(k.Orig)); err == nil {
			err = m.finishBack(ctx, e, k, h)
		}
	case layers.Finish:
		err = m.finishBack(ctx, e, k, h)
	case layers.Ambiguous:
		err = ambiguousError(k, h)
	}
	return step, err
}

// tellBack reports the result for an interrupted giving back.
func (m *Manager) tellBack(k *kept, step layers.Step) {
	switch step {
	case layers.GoOn, layers.Finish:
		m.Progress.Warn("giving toolbox "+string(k.Name)+" back was interrupted, and is completed now", "")
	case layers.DropNew, layers.GoBack:
		m.Progress.Warn("giving toolbox "+string(k.Name)+" back was interrupted: it still belongs to tbx",
			"give it back with: tbx adopt --undo "+string(k.Name))
	}
}

// finishBack removes tbx's toolbox, which is empty, and the kept files about it.
func (m *Manager) finishBack(ctx context.Context, e Engine, k *kept, h *halves) error {
	if h.old != nil {
		if err := e.Remove(ctx, h.old.ID, true); err != nil && !errors.Is(err, fail.NotFound) {
			return err
		}
	}
	if err := m.removeSnapshots(ctx, e, k.Spec.ID); err != nil {
		return err
	}
	if err := m.forget(k.Name); err != nil {
		return err
	}
	m.dropAll(k.Spec.ID)
	return nil
}
