package toolbox

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// AdoptRequest is a user's request to adopt another program's toolbox.
type AdoptRequest struct {
	Name  Name
	As    Name // name of the copy; empty: see Adoption.As
	Move  bool // instead of a copy: tbx's toolbox takes over name and files
	Force bool // with Move: end what runs in it
	// Image returns the environment of an image, by podman's id; see Image.
	ImageEnv func(ctx context.Context, imageID string) ([]string, error)
}

// Leftover is something that a toolbox's maker left in it.
type Leftover = boxinit.Leftover

// Adoption is the plan of an adoption, or its result.
type Adoption struct {
	Name      Name
	As        Name // name of tbx's toolbox: with Move the old one
	Maker     Maker
	Move      bool
	Taken     []Taken
	Lost      []Lost
	Leftovers []Leftover // what is cleared in it, or reported
	Exported  []string   // files of the host that call it
	InUse     []Process  // what runs in it
	Already   Name       // the toolbox that was adopted from it before; empty: none

	box  *Box
	spec *Spec
	env  []string // of the image
}

// PlanAdoption returns what Adopt would do. It changes nothing.
func (m *Manager) PlanAdoption(ctx context.Context, r AdoptRequest) (*Adoption, error) {
	b, err := m.Find(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return m.planAdoption(ctx, b, r)
}

func (m *Manager) planAdoption(ctx context.Context, b *Box, r AdoptRequest) (*Adoption, error) {
	switch {
	case b.Managed():
		return nil, fail.New(fail.Exists, "toolbox %s belongs to tbx already", b.Name).Hint("enter it with: tbx enter %s", b.Name)
	case b.State == Paused:
		return nil, pausedError(b.Name)
	case r.Move && r.As != "" && r.As != b.Name:
		return nil, fail.New(fail.Usage, "a moved toolbox keeps its name").Hint("afterwards: tbx rename %s %s", b.Name, r.As)
	}
	a := &Adoption{Name: b.Name, As: b.Name, Maker: b.Maker(), Move: r.Move, box: b}
	var err error
	if !r.Move {
		if a.As, err = m.adoptedName(b, r.As); err != nil {
			return nil, err
		}
	}
	if a.env, err = r.ImageEnv(ctx, b.ImageID); err != nil {
		return nil, err
	}
	t := takeOver(m.Host, b, a.env)
	t.o.Name = a.As
	if a.spec, err = m.newSpec(t.o); err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s cannot be adopted", b.Name)
	}
	a.spec.Image, a.spec.ImageID, a.spec.Adopted = b.Image, b.ImageID, string(a.Maker)+"/"+b.ID
	a.spec.Created = time.Now().UTC().Round(0) // exact: a container that starts later was set aside before
	a.Taken, a.Lost = t.taken, t.lost
	a.Exported, a.Already = exported(m.Host, b), m.adopted(b.ID)
	if b.runs() && m.alive(b) {
		a.InUse = m.foreignInUse(b)
	}
	a.Leftovers, err = m.leftoversOf(ctx, b)
	return a, err
}

// leftoversOf looks for leftovers of its maker in the layer of b.
func (m *Manager) leftoversOf(ctx context.Context, b *Box) ([]Leftover, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	l, err := e.Layer(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	said, err := m.space().Run(ctx, "leftovers", l.Upper, string(b.Maker()), m.Host.User)
	var out []Leftover
	if err == nil {
		err = json.Unmarshal(said, &out)
	}
	return out, err
}

// Adopted returns the toolbox that was adopted from b by copy, or "".
func (m *Manager) Adopted(b *Box) Name { return m.adopted(b.ID) }

// adopted returns the toolbox that was adopted from the container id, or "".
func (m *Manager) adopted(id string) Name {
	for _, name := range specNames(m.Host.Dirs.Config) {
		if s, err := loadSpec(m.Host.Dirs.Config, name); err == nil && s.Adopted != "" && filepath.Base(s.Adopted) == id {
			return name
		}
	}
	return ""
}

// foreignInUse lists the processes in a toolbox, without those that its maker starts in
// it: the children of its first process.
func (m *Manager) foreignInUse(b *Box) []Process {
	return slices.DeleteFunc(m.inUse(b), func(p Process) bool { return startedBy(p.PID, b.PID) })
}

// Adopt makes a toolbox of tbx from one of another program. By copy, the original stays
// as it is; it may be running, see Snapshot. By move, the two exchange their contents in
// one step, without a copy. The empty one is set aside under another name for the way
// back, see GiveBack. If tbx is killed at any point, one of the two is complete.
func (m *Manager) Adopt(ctx context.Context, r AdoptRequest) (*Adoption, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if r.Move {
		return m.adoptByMove(ctx, e, r)
	}
	a, err := m.PlanAdoption(ctx, r)
	if err != nil {
		return nil, err
	}
	return a, m.adoptByCopy(ctx, e, a)
}

func (m *Manager) adoptByCopy(ctx context.Context, e Engine, a *Adoption) error {
	busy, err := m.alone(ctx, e, a.As)
	if err != nil {
		return err
	}
	defer busy.Close()
	c := &clone{filled: &filled{Manager: m, engine: e, from: string(a.Name), draft: &Draft{a.As, a.spec}}, source: a.box, of: a.spec,
		options: CloneOptions{Name: a.As}}
	c.fill = c.copies
	if err := c.make(ctx, Image{a.box.Image, a.box.ImageID, a.env}); err != nil {
		return fail.Wrap(nil, err, "toolbox %s was not adopted, and is as it was", a.Name)
	}
	// The first start clears the maker's leftovers.
	ctx = context.WithoutCancel(ctx)
	if _, err := m.Start(ctx, a.As); err != nil {
		return fail.Wrap(nil, errors.Join(err, m.Remove(ctx, a.As, true)),
			"the copy of toolbox %s does not start, and is removed; the toolbox is as it was", a.Name)
	}
	_, err = m.Stop(ctx, a.As, 0)
	return err
}

// adoptByMove takes the steps of an edit, except that the replaced container belongs to
// another maker and is kept.
func (m *Manager) adoptByMove(ctx context.Context, e Engine, r AdoptRequest) (*Adoption, error) {
	lock, err := m.lock(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	b, err := m.find(ctx, r.Name, "see which there are: tbx list")
	if err != nil {
		return nil, err
	}
	a, err := m.planAdoption(ctx, b, r)
	if err != nil {
		return nil, err
	}
	if len(a.InUse) > 0 && !r.Force {
		return nil, inUseError(b.Name, a.InUse).Hint("leave it, or end what runs in it by: --force").
			Hint("a copy can be made while it runs: leave out --move")
	}
	plan, err := m.Plan(&Draft{a.Name, a.spec}, Image{b.Image, b.ImageID, a.env})
	if err != nil {
		return nil, err
	}
	p := &EditPlan{Name: a.Name, Way: EditReplaces, Is: plan, box: b, kept: &kept{Name: a.Name, Spec: a.spec, Old: b.ID, Hex: apartHex()}}
	return a, m.replace(ctx, e, p, r.Force)
}

// setAside renames the emptied container of another maker: under that name it waits for
// the way back.
func (m *Manager) setAside(ctx context.Context, e Engine, k *kept, oldID string) error {
	c, err := e.Inspect(ctx, oldID)
	if err != nil {
		return err
	}
	aside := apart(k.Name, apartAdopted, k.Hex)
	if c.Name == aside {
		return nil
	}
	return e.Rename(ctx, oldID, aside)
}

// asideOf returns the container that was set aside when s was adopted by move, or nil.
func (m *Manager) asideOf(ctx context.Context, e Engine, s *Spec) (*Container, error) {
	_, id, ok := strings.Cut(s.Adopted, "/")
	if !ok || id == "" {
		return nil, nil
	}
	c, err := e.Inspect(ctx, id)
	if errors.Is(err, fail.NotFound) {
		return nil, nil
	}
	if err != nil || c.ID != id {
		return nil, err
	}
	if _, ok := setAside(c); !ok {
		return nil, nil
	}
	return c, nil
}

// removeAside removes the container that was set aside for a toolbox that is gone. If
// somebody has started it since, it has files of its own, and stays.
func (m *Manager) removeAside(ctx context.Context, e Engine, s *Spec) error {
	c, err := m.asideOf(ctx, e, s)
	if c == nil || err != nil || c.Started.After(s.Created) {
		return err
	}
	l, err := e.Layer(ctx, c.ID)
	if err != nil {
		return err
	}
	seen, err := m.space().Look(ctx, l)
	if err != nil || !seen[0].Marked {
		return err
	}
	if err := e.Remove(ctx, c.ID, true); !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}

// fit is layers.Fit for a copy of b. Another maker's toolbox may also be copied to a
// second copy of the same image, which podman has for keep-id of another size.
func (b *Box) fit(from, to *layers.Layer) error {
	if b.Managed() {
		return layers.Fit(from, to)
	}
	same := *from
	if from.Image == to.Image {
		same.Lower = to.Lower
	}
	if sameIDs(from.UIDs, to.UIDs) && sameIDs(from.GIDs, to.GIDs) {
		same.UIDs, same.GIDs = to.UIDs, to.GIDs
	}
	err := layers.Fit(&same, to)
	if err != nil {
		return fail.Wrap(fail.Unable, err, "").
			Hint("make an image of it, and a toolbox from that: podman commit %s NEW; tbx create --image NEW", b.Name)
	}
	return nil
}
