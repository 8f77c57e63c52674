package toolbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// EditRequest is a user's request to change a toolbox.
type EditRequest struct {
	Name   Name
	Change func(now *Spec) (*Spec, error) // the new settings; see Changed and FromText
	// ImageEnv returns the environment of an image, by podman's id; see Image.
	ImageEnv func(ctx context.Context, imageID string) ([]string, error)

	Force    bool // end its processes
	WhenIdle bool // if something runs in it, wait until it stops or starts
}

// Way is the way of an edit.
type Way string

// The ways.
const (
	EditNothing  Way = "nothing" // the toolbox has these settings already
	EditReplaces Way = "replace" // another container takes over the contents of this one
	EditRestarts Way = "restart" // the same, for a running toolbox
	EditLive     Way = "live"    // limits change while the toolbox runs; the container changes when it stops
	EditWaits    Way = "wait"    // until the toolbox stops or starts
)

// EditPlan is the plan of an edit, or its result.
type EditPlan struct {
	Name        Name
	Way         Way
	Differences []Difference
	Was, Is     *Plan     // the request to podman then, and now
	InUse       []Process // the processes in the toolbox

	box  *Box
	kept *kept
}

// Changed returns the Change of an EditRequest that makes the change c.
func (m *Manager) Changed(name Name, c Change) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) { return c.of(m, name, now) }
}

// PlanEdit returns what Edit would do. It changes nothing.
func (m *Manager) PlanEdit(ctx context.Context, r EditRequest) (*EditPlan, error) {
	b, err := m.Find(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return m.planEdit(ctx, b, r)
}

// Edit changes the settings of a toolbox and keeps its contents. After an error the
// toolbox is as it was, unless the error says that the edit was interrupted. If tbx is
// killed at any point, the next call repairs that.
func (m *Manager) Edit(ctx context.Context, r EditRequest) (*EditPlan, error) {
	lock, err := m.lock(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	b, err := m.find(ctx, r.Name, "see which there are: tbx list")
	if err != nil {
		return nil, err
	}
	p, err := m.planEdit(ctx, b, r)
	if err != nil {
		return nil, err
	}
	if p.Way == EditLive {
		if err := e.Limit(ctx, b.ID, p.Is); err == nil {
			return p, m.keep(editWaiting, p.kept)
		} else if p.Way, err = r.way(b, p.InUse); err != nil {
			return nil, err
		}
	}
	switch p.Way {
	case EditNothing:
		m.drop(b.Spec.ID, editWaiting)
		return p, nil
	case EditWaits:
		return p, m.keep(editWaiting, p.kept)
	}
	if err := m.replace(ctx, e, p, r.Force); err != nil {
		return nil, err
	}
	return p, nil
}

// planEdit plans an edit of b.
func (m *Manager) planEdit(ctx context.Context, b *Box, r EditRequest) (*EditPlan, error) {
	now, err := m.Settings(b)
	if err != nil {
		return nil, err
	}
	switch {
	case b.State == Paused:
		return nil, pausedError(b.Name)
	case b.Ephemeral():
		return nil, fail.New(fail.Unable, "toolbox %s will be removed when its session ends, so it cannot be changed", b.Name).
			Hint("make one that stays with: tbx create")
	}
	s, err := r.Change(now)
	if err != nil {
		return nil, err
	}
	p := &EditPlan{Name: b.Name, box: b, Differences: differences(b.Spec, s)}
	if p.Is, p.kept, err = m.planOf(ctx, b, s, r); err != nil {
		return nil, err
	}
	if p.Was, _, err = m.planOf(ctx, b, b.Spec, r); err != nil {
		p.Was, err = &Plan{Name: b.Name}, nil // its old plan cannot be made any more
	}
	if b.runs() && m.alive(b) {
		p.InUse = m.inUse(b)
	}
	asMade := b.Labels[LabelSpec] == b.Spec.Hash()
	switch {
	case s.Hash() == b.Spec.Hash() && asMade:
		p.Way = EditNothing
	case asMade && b.State == Running && limitsOnly(b.Spec, s):
		p.Way = EditLive
	default:
		p.Way, err = r.way(b, p.InUse)
	}
	return p, err
}

// way returns the way of an edit that needs another container.
func (r *EditRequest) way(b *Box, inUse []Process) (Way, error) {
	switch {
	case !b.runs():
		return EditReplaces, nil
	case len(inUse) == 0, r.Force:
		return EditRestarts, nil
	case r.WhenIdle:
		return EditWaits, nil
	}
	return "", inUseError(b.Name, inUse).Hint("leave it, or end what runs in it with: tbx stop %s", b.Name).
		Hint("or change it when it stops or starts: tbx edit --when-idle …").Hint("or end them and change it now: tbx edit --force …")
}

// planOf renders a specification for b, and returns the state to keep while the edit
// runs.
func (m *Manager) planOf(ctx context.Context, b *Box, s *Spec, r EditRequest) (*Plan, *kept, error) {
	env, err := r.ImageEnv(ctx, s.ImageID)
	if err != nil {
		return nil, nil, err
	}
	k := &kept{Name: b.Name, Spec: s, Was: b.Spec, ImageEnv: env, Old: b.ID, Hex: apartHex()}
	p, err := m.Plan(&Draft{b.Name, s}, Image{s.Image, s.ImageID, env})
	return p, k, err
}

// limitsOnly reports whether two specifications differ only in limits that podman can
// change in a running container.
func limitsOnly(a, b *Spec) bool {
	return !slices.ContainsFunc(differences(a, b), func(d Difference) bool {
		return !slices.Contains([]string{"memory", "cpus", "pids_limit"}, d.Key)
	})
}

// editThatWaited carries out the waiting edit of b, which does not run, if there is one.
// If it fails, it keeps waiting, and b is as it was.
func (m *Manager) editThatWaited(ctx context.Context, e Engine, b *Box) *Box {
	if b.Spec == nil {
		return b
	}
	k, err := m.kept(b.Spec.ID, editWaiting)
	if k == nil && err == nil {
		return b
	}
	var p *Plan
	if err == nil {
		k.Name, k.Was, k.Old, k.Hex = b.Name, b.Spec, b.ID, apartHex()
		p, err = m.Plan(&Draft{b.Name, k.Spec}, Image{k.Spec.Image, k.Spec.ImageID, k.ImageEnv})
	}
	if err == nil {
		ep := &EditPlan{Name: b.Name, Way: EditReplaces, Is: p, box: b, kept: k}
		err = m.replace(ctx, e, ep, false)
		b = ep.box
	}
	if err != nil {
		m.Progress.Warn("the waiting edit of toolbox "+string(b.Name)+" failed, and still "+
			"waits: "+err.Error(),
			"give it up with: tbx edit --undo "+string(b.Name))
	}
	return b
}

// Undo takes back the waiting edit, or else the last one: it restores the settings, and
// keeps the contents.
func (m *Manager) Undo(name Name) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) {
		before, err := m.kept(now.ID, editWaiting)
		if err == nil && before != nil {
			return before.Was, nil
		}
		if before, err = m.kept(now.ID, editBefore); err != nil {
			return nil, err
		}
		if before == nil {
			return nil, fail.New(fail.NotFound, "toolbox %s was not edited, so there is nothing to undo", name)
		}
		return m.settings(name, now, optionsOf(name, before.Spec))
	}
}

// Settings returns the settings that an edit starts from: those of the waiting edit, or
// else those of b.
func (m *Manager) Settings(b *Box) (*Spec, error) {
	switch {
	case b.SpecErr != nil:
		return nil, b.SpecErr
	case b.Spec == nil:
		return nil, foreignError(b, "does not change those").Hint("or make another with: tbx create --image %s NAME", b.Image)
	}
	k, err := m.kept(b.Spec.ID, editWaiting)
	if err != nil || k == nil {
		return b.Spec, err
	}
	return k.Spec, nil
}

// Waiting returns the changes that wait until a toolbox stops or starts.
func (m *Manager) Waiting(b *Box) []Difference {
	if b.Spec == nil {
		return nil
	}
	k, err := m.kept(b.Spec.ID, editWaiting)
	if err != nil || k == nil {
		return nil
	}
	return differences(b.Spec, k.Spec)
}

// stopGrace is the time that sessions have to end when a toolbox is edited by force.
const stopGrace = 2 * time.Second

// trial starts and stops the new container, which is empty, to test that podman can run
// it.
func (m *Manager) trial(ctx context.Context, e Engine, b *Box) error {
	ran, err := m.run(ctx, e, b)
	if err == nil && b.Spec.Isolated {
		err = m.secure(ctx, e, ran)
	}
	if err == nil {
		b = ran
	}
	if err := errors.Join(err, m.halt(context.WithoutCancel(ctx), e, b, 0)); err != nil {
		return err
	}
	b.State, b.PID = Exited, 0 // or the next start would stop it once more
	return nil
}

// boxWith returns the container id as the toolbox name with the specification s.
func boxWith(ctx context.Context, e Engine, id string, name Name, s *Spec) (*Box, error) {
	c, err := e.Inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Box{Name: name, Container: *c, Spec: s}, nil
}

// ready checks and prepares the sources of podman's mounts, as for a new toolbox.
func (m *Manager) ready(s *Spec, p *Plan) error {
	if _, err := installBox(boxDir(m.Host), m.BoxFile); err != nil {
		return err
	}
	if err := m.makeHome(s); err != nil {
		return err
	}
	if err := m.prepareIsolated(s); err != nil {
		return err
	}
	return checkSources(p)
}

func (m *Manager) forgetRecord(name Name) { join.Forget(m.Host.TbxRuntime(), string(name)) }
