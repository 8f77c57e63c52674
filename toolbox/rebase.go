package toolbox

import (
	"context"
	"errors"
	"io"
	"maps"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/carry"
	"github.com/tbx-project/tbx/toolbox/join"
)

// RebaseRequest is a user's request to move a toolbox to another image.
type RebaseRequest struct {
	Name  Name
	Image Image // the new one
	// ImageEnv returns the environment of the toolbox's image, by podman's id; see Image.
	ImageEnv func(ctx context.Context, imageID string) ([]string, error)

	Force bool // end its processes
	Dry   bool // build only looks and changes nothing, and its result is dropped
}

// alone says that the toolbox is compared with its image only, see Compare.
func (r *RebaseRequest) alone() bool { return r.Image.ID == "" }

// Rebasing are the three containers of a rebase, which run: the toolbox, its image as that
// came, and what is to be the toolbox.
type Rebasing struct {
	Old, Base, New Room

	m               *Manager
	e               Engine
	k               *kept
	was             *Box // the toolbox as it was found
	request         *RebaseRequest
	old, base, next *Box
}

// Room is one of these containers.
type Room struct {
	e  Engine
	id string
}

// Run runs a command as its root and returns the exit code.
func (r Room) Run(ctx context.Context, args, env []string, out, errs io.Writer) (int, error) {
	own := append([]string{"PATH=" + strings.Join(boxinit.SystemPath, ":"), "HOME=/root"}, env...)
	return r.e.Exec(ctx, r.id, args, own, out, errs)
}

// Carry brings along the toolbox's contents; it fills in the order's containers.
func (r *Rebasing) Carry(ctx context.Context, o *carry.Order) (*carry.Answer, error) {
	o.Old, o.Base, o.New = r.old.PID, r.base.PID, r.base.PID
	if r.next != nil {
		o.New = r.next.PID
	}
	return r.m.space().Carry(ctx, o)
}

// Spec returns the specification of the new toolbox.
func (r *Rebasing) Spec() *Spec { return r.k.Spec }

// BeforeRebase begins the name of the snapshot that a rebase leaves of the old contents.
const BeforeRebase = "before-rebase"

// Rebase replaces a toolbox by one from another image, with the same settings. build
// fills it, while nobody can enter either. The old contents become the returned snapshot.
// After an error the toolbox is as it was, unless the error says that the rebase was
// interrupted. If tbx is killed at any point, the old toolbox or the new one is complete,
// and the next call of tbx removes the rest.
func (m *Manager) Rebase(ctx context.Context, r RebaseRequest, build func(context.Context, *Rebasing) error) (*Snapshot, error) {
	b, err := m.findManaged(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	snapshots, err := m.lockSnapshots(ctx, b.Spec.ID)
	if err != nil {
		return nil, err
	}
	defer snapshots.Close()
	lock, err := m.lock(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if b, err = m.findManaged(ctx, r.Name); err != nil { // again, now that nobody else changes it
		return nil, err
	}
	if err := m.settleSnapshots(ctx, b.Spec.ID); err != nil {
		return nil, err
	}
	w, err := m.rebasing(ctx, b, &r)
	if err != nil {
		return nil, err
	}
	s, err := w.carryOut(ctx, build)
	if err != nil {
		what := "toolbox %s was not rebased"
		if r.alone() {
			what = "toolbox %s cannot be compared with its image"
		}
		return nil, fail.Wrap(nil, err, what, r.Name)
	}
	return s, nil
}

// rebasing checks the request.
func (m *Manager) rebasing(ctx context.Context, b *Box, r *RebaseRequest) (*Rebasing, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if b.State == Paused {
		return nil, pausedError(b.Name)
	}
	if running := m.inUse(b); len(running) > 0 && !r.Force && !r.Dry {
		return nil, inUseError(b.Name, running).Hint("leave it, or end what runs in it with: tbx stop %s", b.Name).
			Hint("or end it with: tbx rebase --force …")
	}
	now, err := m.Settings(b)
	if err != nil {
		return nil, err
	}
	s := *now
	if !r.alone() {
		s.Image, s.ImageID = r.Image.Reference, r.Image.ID
	}
	was := *b
	k := &kept{Name: b.Name, Spec: &s, Was: b.Spec, Old: b.ID, Hex: apartHex(), Rebase: true}
	return &Rebasing{m: m, e: e, k: k, was: &was, request: r, old: b}, nil
}

// carryOut does the steps, and removes the temporary containers at the end.
func (r *Rebasing) carryOut(ctx context.Context, build func(context.Context, *Rebasing) error) (*Snapshot, error) {
	if err := r.m.keep(editNow, r.k); err != nil {
		return nil, err
	}
	err := r.prepare(ctx)
	if err == nil {
		err = build(ctx, r)
	}
	var s *Snapshot
	if err == nil && !r.request.Dry {
		s, err = r.takePlace(ctx)
	}
	return s, errors.Join(err, r.settle(context.WithoutCancel(ctx), s != nil))
}

// prepare starts the three containers.
func (r *Rebasing) prepare(ctx context.Context) error {
	m := r.m
	if r.was.runs() && r.request.Force && len(m.inUse(r.old)) > 0 && !r.request.Dry {
		if err := m.stop(ctx, r.e, r.old, stopGrace); err != nil {
			return err
		}
		r.old.State, r.old.PID = Exited, 0
	}
	env, err := r.request.ImageEnv(ctx, r.was.Spec.ImageID)
	if err != nil {
		return err
	}
	if r.request.alone() {
		m.stage("starting the image of toolbox %s beside it", r.k.Name)
	} else {
		m.stage("preparing to rebase toolbox %s", r.k.Name)
	}
	mute := *m
	mute.Progress = muted{m.Progress, true}
	base := *r.was.Spec
	if r.base, err = r.start(ctx, &mute, apartBase, &base, Image{base.Image, base.ImageID, env}); err != nil {
		return err
	}
	if r.request.alone() {
		return r.running(ctx, &mute)
	}
	mute.Progress = muted{m.Progress, false}
	if r.next, err = r.start(ctx, &mute, apartNext, r.k.Spec, r.request.Image); err != nil {
		return err
	}
	if err := r.running(ctx, &mute); err != nil {
		return err
	}
	r.New = Room{r.e, r.next.ID}
	return nil
}

// running has the toolbox run.
func (r *Rebasing) running(ctx context.Context, mute *Manager) (err error) {
	if !r.request.alone() || !r.was.runs() || !r.m.alive(r.old) {
		if _, err = mute.bringUp(ctx, r.e, r.old); err != nil {
			return err
		}
		r.m.forgetRecord(r.k.Name) // from here on who enters waits for the lock
	}
	if r.old, err = boxWith(ctx, r.e, r.old.ID, r.k.Name, r.was.Spec); err != nil {
		return err
	}
	r.Old, r.Base = Room{r.e, r.old.ID}, Room{r.e, r.base.ID}
	return nil
}

// start makes a container beside the toolbox, starts it and sets it up.
func (r *Rebasing) start(ctx context.Context, m *Manager, kind string, s *Spec, from Image) (*Box, error) {
	p, err := m.Plan(&Draft{r.k.Name, s}, from)
	if err == nil {
		err = m.ready(s, p)
	}
	if err != nil {
		return nil, err
	}
	name := Name(apart(r.k.Name, kind, r.k.Hex))
	p.Name, p.Labels = name, maps.Clone(p.Labels)
	p.Labels[LabelReplaces] = r.was.ID
	id, err := r.e.Create(ctx, p)
	if err == nil {
		err = m.checkMade(ctx, r.e, id, p, s)
	}
	if err != nil {
		return nil, err
	}
	b, err := boxWith(ctx, r.e, id, name, s)
	if err != nil {
		return nil, err
	}
	if _, err := m.bringUp(ctx, r.e, b); err != nil {
		return nil, err
	}
	return boxWith(ctx, r.e, id, name, s)
}

// takePlace stops all three and puts the new container in the toolbox's place.
func (r *Rebasing) takePlace(ctx context.Context) (*Snapshot, error) {
	m := r.m
	if running := m.inUse(r.old); len(running) > 0 && !r.request.Force {
		return nil, inUseError(r.k.Name, running).Hint("try again when that has ended, or end it with: --force")
	}
	ctx = context.WithoutCancel(ctx) // from here on, it is completed in any case
	m.stage("putting the new toolbox in the place of %s", r.k.Name)
	for _, b := range []*Box{r.next, r.old} {
		if err := m.stop(ctx, r.e, b, stopGrace); err != nil {
			return nil, err
		}
		b.State, b.PID = Exited, 0
	}
	s := snapshotNow(r.was)
	var err error
	if s.Name, err = m.numberedSnapshot(ctx, r.was, BeforeRebase); err != nil {
		return nil, err
	}
	s.Reason, s.Automatic = "before the rebase to "+r.k.Spec.Image, true
	keeper, err := r.e.Create(ctx, m.newHolder(r.was.Spec))
	if err != nil {
		return nil, err
	}
	t := &turn{Keeper: keeper, Record: &record{Snapshot: s}, New: r.next.ID, Drop: []string{r.was.ID}}
	if err := m.carryOutTurn(ctx, r.e, r.k, [][2]string{{r.was.ID, keeper}}, t); err != nil {
		return nil, err
	}
	return s, nil
}

// settle removes the temporary containers of a rebase, and starts the toolbox if it ran
// before.
func (r *Rebasing) settle(ctx context.Context, done bool) error {
	m := r.m
	if r.k.Turn != nil && !done {
		return nil // for the next call
	}
	if !done {
		if err := m.dropApart(ctx, r.e, r.k); err != nil {
			return err // the next call does
		}
		m.drop(r.k.Spec.ID, editNow)
	}
	b, err := r.e.Inspect(ctx, string(r.k.Name))
	if err != nil {
		return err
	}
	box := m.inspected(b)
	switch {
	case r.was.runs() && (done || !box.runs() || !m.hasRecord(r.k.Name)):
		_, err = m.bringUp(ctx, r.e, box)
	case !r.was.runs() && box.runs():
		err = m.stop(ctx, r.e, box, 0)
	}
	return err
}

func (m *Manager) hasRecord(name Name) bool {
	_, err := join.Load(m.Host.TbxRuntime(), string(name))
	return err == nil
}

// numberedSnapshot returns a free name for a snapshot, with a number if necessary.
func (m *Manager) numberedSnapshot(ctx context.Context, b *Box, name string) (string, error) {
	taken, err := m.snapshotNames(ctx, b)
	free := name
	for i := 2; taken[free]; i++ {
		free = name + "-" + strconv.Itoa(i)
	}
	return free, err
}

// muted is a progress without the stages of internal toolboxes.
type muted struct {
	Progress
	all bool // also without warnings, which another one prints too
}

func (muted) Stage(string)             {}
func (muted) Update(string, ...string) {}

func (p muted) Warn(text, hint string) {
	if !p.all {
		p.Progress.Warn(text, hint)
	}
}

func (muted) Remark(string, string) {}
