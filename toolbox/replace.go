package toolbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// replacement is a running edit: the container of a toolbox, and the one that takes its
// place.
type replacement struct {
	m        *Manager
	e        Engine
	k        *kept
	old, new *Box
	a, b     *layers.Layer // of old and new
	back     []func(context.Context) error
}

// undoWith records how to undo the step that was done.
func (r *replacement) undoWith(f func(context.Context) error) { r.back = append(r.back, f) }

// replace puts another container in the place of p's toolbox. If the toolbox runs, it is
// stopped and started again. At the end p.box is the new one.
func (m *Manager) replace(ctx context.Context, e Engine, p *EditPlan, force bool) error {
	r := &replacement{m: m, e: e, k: p.kept, old: p.box}
	if m.deadRuns(r.old) {
		if err := m.stop(ctx, e, r.old, 0); err != nil {
			return err
		}
		r.old.State = Exited
	}
	return m.amongIsolated(ctx, p.Name, r.k.Spec, func() error {
		if err := m.keep(editNow, r.k); err != nil {
			return err
		}
		if err := r.carryOut(ctx, p.Is, force); err != nil {
			return r.goBack(ctx, err)
		}
		p.box = r.new
		m.tidyUp(ctx, e, r.k, &r.old.Container)
		return nil
	})
}

// carryOut does the steps. If one fails, the caller undoes those before.
func (r *replacement) carryOut(ctx context.Context, plan *Plan, force bool) error {
	restart := r.old.runs()
	if err := r.make(ctx, plan); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // from here on, it is completed in any case
	if err := r.stopOld(ctx, restart, force); err != nil {
		return err
	}
	if err := r.swap(ctx); err != nil || !restart && !r.adopts() {
		return err
	}
	r.undoWith(func(ctx context.Context) error { return r.m.stop(ctx, r.e, r.new, 0) })
	if _, err := r.m.bringUp(ctx, r.e, r.new); err != nil || restart {
		return err
	}
	return r.m.stop(ctx, r.e, r.new, 0)
}

// adopts reports whether the old container belongs to another maker. Then the toolbox is
// started once, to clear the maker's leftovers, and the container is kept for the way
// back.
func (r *replacement) adopts() bool { return !r.old.ours() }

// deadRuns reports whether podman believes that a container runs although its first
// process has ended.
func (m *Manager) deadRuns(b *Box) bool { return b.runs() && !m.alive(b) }

// make makes the new container and tries it.
func (r *replacement) make(ctx context.Context, plan *Plan) error {
	m, name := r.m, r.old.Name
	if err := m.ready(r.k.Spec, plan); err != nil {
		return err
	}
	p := *plan
	p.Name, p.Labels = Name(apart(name, apartNew, r.k.Hex)), maps.Clone(plan.Labels)
	p.Labels[LabelReplaces] = r.old.ID
	m.stage("trying the new settings of toolbox %s", name)
	id, err := r.e.Create(ctx, &p)
	if err != nil {
		if ctx.Err() != nil { // podman may still be working on it
			r.undoWith(func(ctx context.Context) error {
				m.halfMade(ctx, r.e, p.Name)
				return r.e.Remove(ctx, string(p.Name), true)
			})
		}
		if errors.Is(err, fail.NotFound) {
			return fail.Wrap(fail.NotFound, err, "the image that toolbox %s was made from is gone", name).
				Hint("get it again: tbx image pull %s; it must be the same, with id %.12s", r.k.Spec.Image, r.k.Spec.ImageID)
		}
		return err
	}
	r.undoWith(func(ctx context.Context) error { return r.e.Remove(ctx, id, true) })
	if r.new, err = boxWith(ctx, r.e, id, name, r.k.Spec); err != nil {
		return err
	}
	if len(r.k.Spec.sharedSources()) > 0 {
		if err := checkStorage(r.k.Spec, &r.new.Container); err != nil {
			return err
		}
	}
	if r.a, err = r.e.Layer(ctx, r.old.ID); err != nil {
		return err
	}
	if r.b, err = r.e.Layer(ctx, id); err != nil {
		return err
	}
	if err := layers.Fit(r.a, r.b); err != nil {
		return err
	}
	return m.trial(ctx, r.e, r.new)
}

func mountedError(name Name) error {
	return fail.Wrap(nil, layers.ErrMounted, "toolbox %s does not run, but its contents cannot be moved", name).
		Hint("see what podman has mounted: podman mount").Hint("unmount it with: podman umount %s", name)
}

// stopOld stops the toolbox for the exchange, if it runs.
func (r *replacement) stopOld(ctx context.Context, runs, force bool) error {
	if !runs {
		return r.unmounted(ctx)
	}
	m := r.m
	m.forgetRecord(r.old.Name) // from here on, entering waits for the lock
	if running := r.inUse(); len(running) > 0 && !force {
		return inUseError(r.old.Name, running).Hint("try again when that has ended, or end it with: --force")
	}
	r.undoWith(func(ctx context.Context) error {
		_, err := m.bringUp(ctx, r.e, r.old)
		return err
	})
	m.stage("restarting toolbox %s with the new settings", r.old.Name)
	err := m.stop(ctx, r.e, r.old, stopGrace)
	r.old.State, r.old.PID = Exited, 0
	if err != nil {
		return err
	}
	return r.unmounted(ctx)
}

// inUse lists the processes that end when the old container is stopped.
func (r *replacement) inUse() []Process {
	if r.adopts() {
		return r.m.foreignInUse(r.old)
	}
	return r.m.inUse(r.old)
}

// unmounted waits until neither container is mounted.
func (r *replacement) unmounted(ctx context.Context) error {
	return r.m.unmounted(ctx, r.old.Name, r.a, r.b)
}

// unmounted waits until no layer of the toolbox's containers is mounted: podman may still
// be cleaning up after one that has ended.
func (m *Manager) unmounted(ctx context.Context, name Name, of ...*layers.Layer) error {
	const cleared, poll = 5 * time.Second, 10 * time.Millisecond
	for end := time.Now().Add(cleared); ; time.Sleep(poll) {
		seen, err := m.space().Look(ctx, of...)
		switch {
		case err != nil:
			return err
		case !slices.ContainsFunc(seen, func(s layers.Seen) bool { return s.Mounted }):
			return nil
		case time.Now().After(end):
			return mountedError(name)
		}
	}
}

// swap gives the new container the name and the contents of the old one.
func (r *replacement) swap(ctx context.Context) error {
	m, name := r.m, string(r.old.Name)
	if err := r.e.Rename(ctx, r.old.ID, apart(r.old.Name, apartOld, r.k.Hex)); err != nil {
		return err
	}
	r.undoWith(func(ctx context.Context) error { return r.e.Rename(ctx, r.old.ID, name) })
	there := [2]string{insideData(r.old), insideData(r.new)}
	back := [2]string{there[1], there[0]}
	err := m.space().Exchange(ctx, r.a, r.b, true, there)
	if errors.Is(err, layers.ErrMounted) {
		return mountedError(r.old.Name)
	}
	if err != nil {
		return err
	}
	r.undoWith(func(ctx context.Context) error { return m.space().Exchange(ctx, r.b, r.a, false, back) })
	if err := r.e.Rename(ctx, r.new.ID, name); err != nil {
		return err
	}
	r.undoWith(func(ctx context.Context) error {
		return r.e.Rename(ctx, r.new.ID, apart(r.old.Name, apartNew, r.k.Hex))
	})
	r.new.Container.Name = name
	if err := saveSpec(m.Host.Dirs.Config, r.old.Name, r.k.Spec); err != nil {
		return err
	}
	r.undoWith(func(context.Context) error {
		if r.k.Was == nil {
			return removeSpec(m.Host.Dirs.Config, r.old.Name)
		}
		return saveSpec(m.Host.Dirs.Config, r.old.Name, r.k.Was)
	})
	m.forgetRecord(r.old.Name)
	return nil
}

// goBack undoes all steps, the last first. If one cannot be undone, it stops: the next
// call of tbx finds the kept file and does the rest.
func (r *replacement) goBack(ctx context.Context, cause error) error {
	ctx = context.WithoutCancel(ctx)
	name := r.old.Name
	for _, undo := range slices.Backward(r.back) {
		if err := undo(ctx); err != nil && !errors.Is(err, fail.NotFound) {
			return fail.Wrap(nil, errors.Join(cause, err), "the change of toolbox %s failed, and could not be undone; nothing in it is lost",
				name).
				Hint("after removing the cause, the next call repairs it: tbx list")
		}
	}
	r.m.drop(r.k.Spec.ID, editNow)
	if r.adopts() {
		return fail.Wrap(nil, cause, "toolbox %s is as it was: it cannot be adopted", name)
	}
	return fail.Wrap(nil, cause, "toolbox %s is as it was: it cannot have the new settings", name)
}

// tidyUp ends a replacement: it removes the old container, which is empty, and the file
// for a crash. If it fails, the next call of tbx does it.
func (m *Manager) tidyUp(ctx context.Context, e Engine, k *kept, old *Container) {
	if k.Was != nil {
		before := &kept{Name: k.Name, Spec: k.Was}
		if err := m.keep(editBefore, before); err != nil {
			m.Progress.Warn("the settings before this edit are not kept, so it cannot be undone: "+err.Error(), "")
		}
	}
	m.drop(k.Spec.ID, editWaiting)
	if err := m.putAway(ctx, e, k, old); err != nil {
		m.debug("the container that toolbox %s was cannot be removed yet: %v", k.Name, err)
		return
	}
	m.drop(k.Spec.ID, editNow)
}

// putAway removes the old container, or sets it aside if it belongs to another maker.
func (m *Manager) putAway(ctx context.Context, e Engine, k *kept, old *Container) error {
	if !old.ours() {
		return m.setAside(ctx, e, k, old.ID)
	}
	if err := e.Remove(ctx, old.ID, true); !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}

// space returns the place for work on containers' layers.
func (m *Manager) space() layers.Space {
	return layers.Space{Runtime: m.Host.RuntimeDir, Helper: m.BoxFile}
}
