package toolbox

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Stop ends all processes in the toolbox: TERM, then KILL after grace. It is no error if
// it does not run; stopped reports whether it did.
func (m *Manager) Stop(ctx context.Context, name Name, grace time.Duration) (stopped bool, err error) {
	lock, err := m.lock(ctx, name)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	b, err := m.Find(ctx, name)
	if err != nil {
		return false, err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return false, err
	}
	if b.State == Paused {
		return false, pausedError(name)
	}
	if b.State != Running && b.State != Stopping {
		return false, nil
	}
	m.stage("stopping toolbox %s", name)
	if b.Ephemeral() {
		return true, m.endEphemeral(ctx, e, b)
	}
	if err := m.stop(ctx, e, b, grace); err != nil {
		return true, err
	}
	b.State = Exited
	m.editThatWaited(ctx, e, b)
	return true, nil
}

// stop stops a container that runs, or that podman believes to run. Without a cgroup,
// which needs a systemd user session, podman cannot find its processes: then tbx finds
// them by the mount namespace.
func (m *Manager) stop(ctx context.Context, e Engine, b *Box, grace time.Duration) error {
	join.Forget(m.Host.TbxRuntime(), string(b.Name))
	m.thawed(ctx, b.ID) // if a snapshot was interrupted
	return m.halt(ctx, e, b, grace)
}

// halt is stop for a container that may have another name than the toolbox.
func (m *Manager) halt(ctx context.Context, e Engine, b *Box, grace time.Duration) error {
	var held *join.Held
	if s, err := m.state(b); err == nil && (b.Managed() || b.Maker() != "") {
		held = s.Hold(b.PID)
		defer held.Close()
		if has, err := s.HasCgroup(); err == nil && !has {
			held.Sweep(grace)
		}
	}
	if err := m.bury(ctx, e, b); err != nil {
		return err
	}
	stopErr := e.Stop(ctx, b.ID, grace)
	held.Sweep(0) // containers inside may be in cgroups of the user's manager
	if err := m.bury(ctx, e, b); err != nil {
		return err
	}
	if stopErr == nil {
		return nil
	}
	// podman 5 reports the death of a monitor as a failure to stop.
	if c, err := e.Inspect(ctx, b.ID); err == nil && !(&Box{Container: *c}).runs() {
		return nil
	}
	return fail.Wrap(nil, stopErr, "toolbox %s cannot be stopped", b.Name).Hint("see what runs in it with: podman top %s", b.Name)
}

// bury makes sure that podman knows the end of the container's first process. Its monitor
// tells podman, unless that is gone too.
func (m *Manager) bury(ctx context.Context, e Engine, b *Box) error {
	if m.alive(b) {
		return nil
	}
	if err := e.Bury(ctx, b.ID); err != nil {
		return err
	}
	m.settle(ctx, e, b.ID)
	return nil
}

// settle waits until podman has noticed the container's end: conmon tells it.
func (m *Manager) settle(ctx context.Context, e Engine, id string) {
	const noticed, poll = 3 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, noticed)
	defer cancel()
	for ctx.Err() == nil {
		c, err := e.Inspect(ctx, id)
		if err != nil || c.State != Running && c.State != Stopping {
			return
		}
		time.Sleep(poll)
	}
}

// Remove removes a toolbox with everything in it; the user's files outside are untouched.
// force also removes a running one.
func (m *Manager) Remove(ctx context.Context, name Name, force bool) error {
	lock, err := m.lock(ctx, name)
	if err != nil {
		return err
	}
	defer lock.Close()
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	b, err := m.Find(ctx, name)
	if errors.Is(err, fail.NotFound) && !errors.Is(err, errOtherStore) && m.hasSpec(name) { // left by a killed create
		if s, err := loadSpec(m.Host.Dirs.Config, name); err == nil {
			m.dropAll(s.ID)
			if s.Isolated {
				err = m.removeHome(ctx, e, s.ID)
			}
			if err == nil {
				err = m.removeSnapshots(ctx, e, s.ID)
			}
			if err != nil {
				return err
			}
		}
		return m.forget(name)
	}
	if err != nil {
		return err
	}
	if err := refuseRemoval(b); err != nil {
		return err
	}
	if b.runs() {
		if !force {
			return runningError(name)
		}
		if b.State != Paused && !b.Ephemeral() {
			if err := m.stop(ctx, e, b, 0); err != nil {
				return err
			}
		}
	}
	m.stage("removing toolbox %s", name)
	if b.Ephemeral() {
		return m.endEphemeral(ctx, e, b) // its owner does the rest, or the next tbx
	}
	if err := e.Remove(ctx, b.ID, force); err != nil && !errors.Is(err, fail.NotFound) {
		return fail.Wrap(nil, err, "toolbox %s cannot be removed", name)
	}
	m.dropAll(b.Labels[LabelID])
	if b.Isolated() {
		if err := m.removeHome(ctx, e, b.Labels[LabelID]); err != nil {
			return err
		}
	}
	if b.Managed() {
		if err := m.removeSnapshots(ctx, e, b.Labels[LabelID]); err != nil {
			return err
		}
	}
	if b.Spec != nil {
		if err := m.removeAside(ctx, e, b.Spec); err != nil {
			return err
		}
	}
	return m.forget(name)
}

// forget removes tbx's files about a toolbox, the specification last: it keeps the name
// known until all else is done.
func (m *Manager) forget(name Name) error {
	join.Forget(m.Host.TbxRuntime(), string(name))
	removeFile(m.logFile(name))
	removeTorn(m.Host.Dirs.Config, name)
	return removeSpec(m.Host.Dirs.Config, name)
}

// Rename gives a toolbox another name. It may be running.
func (m *Manager) Rename(ctx context.Context, old, name Name) error {
	for _, n := range sorted(old, name) { // always in the same order: two renames cannot wait for each other
		lock, err := m.lock(ctx, n)
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	b, err := m.Find(ctx, old)
	if err != nil {
		return err
	}
	if err := refuseForeign(b, "does not rename those"); err != nil {
		return err
	}
	if b.Ephemeral() {
		return fail.New(fail.Usage, "toolbox %s will be removed when its session ends, and cannot be renamed", old).
			Hint("make a lasting one with: tbx create --image %s %s", b.Image, name)
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	if err := m.mustNotExist(ctx, e, name); err != nil {
		return err
	}
	join.Forget(m.Host.TbxRuntime(), string(old))
	if err := e.Rename(ctx, b.ID, string(name)); err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be renamed to %s", old, name)
	}
	if b.Spec == nil {
		return nil
	}
	// If tbx is killed here, the next call finds the specification by its id.
	if err := saveSpec(m.Host.Dirs.Config, name, b.Spec); err != nil {
		return err
	}
	os.Rename(m.logFile(old), m.logFile(name)) // there is none before the first start
	return removeSpec(m.Host.Dirs.Config, old)
}

func sorted(a, b Name) []Name {
	switch {
	case a == b:
		return []Name{a}
	case a < b:
		return []Name{a, b}
	}
	return []Name{b, a}
}

// Removable returns the error with which Remove would refuse, before the user is asked.
func (m *Manager) Removable(ctx context.Context, name Name, force bool) error {
	b, err := m.Find(ctx, name)
	switch {
	case errors.Is(err, errOtherStore):
		return err
	case errors.Is(err, fail.NotFound) && m.hasSpec(name):
		return nil
	case errors.Is(err, fail.NotFound):
		// A killed create may not have written the specification yet.
		if lock, lerr := m.lock(ctx, name); lerr == nil {
			removeTorn(m.Host.Dirs.Config, name)
			lock.Close()
		}
		return err
	case err != nil:
		return err
	case refuseRemoval(b) != nil:
		return refuseRemoval(b)
	case !force && b.runs():
		return runningError(name)
	}
	return nil
}

// runs reports whether podman believes that the container runs.
func (b *Box) runs() bool { return b.State == Running || b.State == Paused || b.State == Stopping }

func runningError(name Name) error {
	return fail.New(nil, "toolbox %s is running", name).Hint("stop it with: tbx stop %s", name).
		Hint("or remove it as it is with: tbx rm --force %s", name)
}
