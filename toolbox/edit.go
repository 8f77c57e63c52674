package toolbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// EditRequest is what a user asks of a toolbox that there is.
type EditRequest struct {
	Name   Name
	Change func(now *Spec) (*Spec, error) // the new settings; see Changed and FromText
	// ImageEnv returns the environment of an image, by podman's id; see Image.
	ImageEnv func(ctx context.Context, imageID string) ([]string, error)

	Force    bool // end what runs in it
	WhenIdle bool // where something runs, wait until the toolbox stops or starts
}

// Way is how an edit is done.
type Way string

// The ways.
const (
	EditNothing  Way = "nothing" // the toolbox is so already
	EditReplaces Way = "replace" // by another container, which takes over what is in this one
	EditRestarts Way = "restart" // the same, of a toolbox that runs
	EditLive     Way = "live"    // limits, of a toolbox that runs on; and for good when it stops
	EditWaits    Way = "wait"    // when the toolbox stops or starts
)

// EditPlan is what an edit is to do, or has done.
type EditPlan struct {
	Name        Name
	Way         Way
	Differences []Difference
	Was, Is     *Plan     // what podman was asked for, and would be
	InUse       []Process // what runs in the toolbox

	box  *Box
	kept *kept
}

// Changed is the Change of an EditRequest that c asks for.
func (m *Manager) Changed(name Name, c Change) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) { return c.of(m, name, now) }
}

// PlanEdit says what Edit would do. It changes nothing.
func (m *Manager) PlanEdit(ctx context.Context, r EditRequest) (*EditPlan, error) {
	b, err := m.Find(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return m.planEdit(ctx, b, r)
}

// Edit gives a toolbox other settings and keeps what is in it. An error says that the
// toolbox is as it was, but for one that says that an edit was interrupted. Killed at
// any point it leaves what the next call of tbx puts right.
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
		return nil, fail.New(fail.Unable, "toolbox %s is gone when its session ends, so it is not changed", b.Name).
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
		p.Was, err = &Plan{Name: b.Name}, nil // what it was made of cannot be any more
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

// way is how an edit that needs another container is done.
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
		Hint("or have it changed when it stops or starts: tbx edit --when-idle …").Hint("or now, ending all that: tbx edit --force …")
}

// planOf renders a specification for b, and returns what is kept while it is brought
// about.
func (m *Manager) planOf(ctx context.Context, b *Box, s *Spec, r EditRequest) (*Plan, *kept, error) {
	env, err := r.ImageEnv(ctx, s.ImageID)
	if err != nil {
		return nil, nil, err
	}
	k := &kept{Name: b.Name, Spec: s, Was: b.Spec, ImageEnv: env, Old: b.ID, Hex: apartHex()}
	p, err := m.Plan(&Draft{b.Name, s}, Image{s.Image, s.ImageID, env})
	return p, k, err
}

// limitsOnly says whether two specifications differ in nothing but what can be changed
// of a container that runs.
func limitsOnly(a, b *Spec) bool {
	return !slices.ContainsFunc(differences(a, b), func(d Difference) bool {
		return !slices.Contains([]string{"memory", "cpus", "pids_limit"}, d.Key)
	})
}

// editThatWaited carries out the edit that waits for b, which does not run, if there is
// one. One that fails goes on waiting, and b is as it was.
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
		m.Progress.Warn("the edit of toolbox "+string(b.Name)+" that was to be done when it stops or starts failed, and still "+
			"waits: "+err.Error(),
			"give it up with: tbx edit --undo "+string(b.Name))
	}
	return b
}

// Undo takes back the edit that waits, or else the last one: the settings are as they
// were before, and what is in the toolbox stays as it is.
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

// Settings returns the settings that an edit starts from: those of an edit that waits, or
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

// Waiting returns what is to change in a toolbox when it stops or starts.
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

// stopGrace is what the sessions of a toolbox that is edited by force have to end.
const stopGrace = 2 * time.Second

// trial starts and stops the new container, which is empty, to see whether podman can
// do what it was asked for.
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

// boxWith is the container id as the toolbox name with the specification s.
func boxWith(ctx context.Context, e Engine, id string, name Name, s *Spec) (*Box, error) {
	c, err := e.Inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Box{Name: name, Container: *c, Spec: s}, nil
}

// ready checks and prepares what podman will mount, as of a new toolbox.
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
