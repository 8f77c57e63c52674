package toolbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox/join"
)

// filled is a toolbox in the making that is filled with the contents of another toolbox
// or of a file. Until it is complete, there is no toolbox of its name.
type filled struct {
	*Manager
	engine Engine
	from   string // its source, for messages
	draft  *Draft
	fill   func(ctx context.Context, id string) error // fills the container of that id, which was never started

	madeHome bool // the directory of --home did not exist
}

// apartClone is the kind of name of a container that is being filled.
const apartClone = "clone"

// alone lets one tbx at a time fill a toolbox of that name, and removes the leftovers of
// a killed one.
func (m *Manager) alone(ctx context.Context, e Engine, name Name) (*flock.Lock, error) {
	busy, err := flock.Try(m.cloneLock(name))
	if err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s is being made", name)
	}
	if err := m.sweepClones(ctx, e, name); err != nil {
		busy.Close()
		return nil, err
	}
	return busy, nil
}

func (m *Manager) cloneLock(name Name) string {
	return filepath.Join(m.Host.TbxRuntime(), "locks", ".clone-"+string(name))
}

// sweepClones removes leftovers of killed clones. The caller has the lock of its own
// clone; sweepClones takes the locks of others if it can.
func (m *Manager) sweepClones(ctx context.Context, e Engine, own Name) error {
	if err := m.sweepStored(ctx, e); err != nil {
		return err
	}
	all, err := e.List(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		name, kind, ok := apartOf(all[i].Name)
		if !ok || kind != apartClone || !all[i].ours() {
			continue
		}
		if name != own {
			lock, err := flock.Try(m.cloneLock(name))
			if err != nil {
				continue // it is being made
			}
			err = m.dropClone(ctx, e, &all[i])
			lock.Close()
			if err != nil {
				return err
			}
		} else if err := m.dropClone(ctx, e, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// dropClone removes a container with its private home.
func (m *Manager) dropClone(ctx context.Context, e Engine, c *Container) error {
	if l, err := e.Layer(ctx, c.ID); err == nil && l.Driver == "vfs" { // vfs does not remove it with the container
		if err := m.space().RemovePart(ctx, l.Upper); err != nil {
			return err
		}
	}
	if err := e.Remove(ctx, c.ID, true); err != nil && !errors.Is(err, fail.NotFound) {
		return fail.Wrap(nil, err, "container %s, which was to be a toolbox, cannot be removed", c.Name)
	}
	if c.Labels[LabelIsolated] == "true" {
		return m.removeHome(ctx, e, c.Labels[LabelID])
	}
	return nil
}

func (c *filled) make(ctx context.Context, from Image) (err error) {
	defer func() {
		if err != nil && c.madeHome {
			removeFile(c.draft.spec.Home) // only if it is empty
		}
	}()
	id, err := c.create(ctx, from)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			made := &Container{ID: id, Name: string(c.draft.Name), Labels: map[string]string{LabelID: c.draft.spec.ID, LabelIsolated: ""}}
			if c.draft.spec.Isolated {
				made.Labels[LabelIsolated] = "true"
			}
			err = errors.Join(err, c.dropClone(context.WithoutCancel(ctx), c.engine, made))
		}
	}()
	if err := c.fill(ctx, id); err != nil {
		return err
	}
	lock, err := c.lock(ctx, c.draft.Name)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := c.mustNotExist(ctx, c.engine, c.draft.Name); err != nil {
		return err
	}
	// If tbx is killed between the two, a specification alone is left, as by create.
	if err := saveSpec(c.Host.Dirs.Config, c.draft.Name, c.draft.spec); err != nil {
		return err
	}
	if err := c.engine.Rename(ctx, id, string(c.draft.Name)); err != nil {
		return errors.Join(err, removeSpec(c.Host.Dirs.Config, c.draft.Name))
	}
	join.Forget(c.Host.TbxRuntime(), string(c.draft.Name))
	return nil
}

// create makes podman create the container, under a name that no toolbox has.
func (c *filled) create(ctx context.Context, from Image) (string, error) {
	name, s := c.draft.Name, c.draft.spec
	if err := c.mustNotExist(ctx, c.engine, name); err != nil {
		return "", err
	}
	if _, err := installBox(boxDir(c.Host), c.BoxFile); err != nil {
		return "", err
	}
	if err := c.checkOverlap(name, s); err != nil {
		return "", err
	}
	p, err := c.Plan(c.draft, from)
	if err != nil {
		return "", err
	}
	if _, serr := os.Stat(s.Home); errors.Is(serr, os.ErrNotExist) {
		c.madeHome = s.Home != ""
	}
	if err = c.makeHome(s); err == nil { // podman needs it, even if it is filled later
		err = c.prepareIsolated(s)
	}
	if err == nil {
		err = checkSources(p)
	}
	if err != nil {
		return "", err
	}
	p.Name = Name(apart(name, apartClone, apartHex()))
	c.stage("creating toolbox %s from %s", name, c.from)
	id, err := c.engine.Create(ctx, p)
	if err != nil {
		return "", err
	}
	if err := c.checkMade(ctx, c.engine, id, p, s); err != nil {
		return "", errors.Join(err, c.engine.Remove(ctx, id, true))
	}
	return id, nil
}

// homeDir returns the directory of a container's private home.
func (m *Manager) homeDir(ctx context.Context, e Engine, id string) (string, error) {
	made, err := e.Inspect(ctx, id)
	if err != nil {
		return "", err
	}
	for _, v := range made.Volumes {
		if v.Target == m.Host.RealHome && v.Source != "" {
			return v.Source, nil
		}
	}
	return "", fail.New(nil, "podman does not say where the home in container %s is", made.Name)
}
