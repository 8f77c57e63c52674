package toolbox

import (
	"context"
	"io"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// Compare has look compare a toolbox with its image as that came: Old and Base of what it
// gets run, and New is not there. Nothing is kept of it. A toolbox that is in use stays so;
// one that did not run cannot be entered meanwhile, and does not run afterwards.
func (m *Manager) Compare(ctx context.Context, name Name, imageEnv ImageEnv, look func(context.Context, *Rebasing) error) error {
	_, err := m.Rebase(ctx, RebaseRequest{Name: name, ImageEnv: imageEnv, Dry: true}, look)
	return err
}

// ImageEnv returns the environment of an image, by podman's id; see Image.
type ImageEnv = func(ctx context.Context, imageID string) ([]string, error)

// PackPaths writes paths of the toolbox to an archive, with owners as it has them.
func (r *Rebasing) PackPaths(ctx context.Context, paths []string, out io.Writer) error {
	return r.m.space().PackPaths(ctx, &carry.Order{Old: r.old.PID, Base: r.base.PID, New: r.base.PID, Dry: true, Pack: paths}, out)
}

// container is what podman knows of it.
func (t *Ephemeral) container(ctx context.Context) (Engine, *Container, error) {
	e, err := t.manager.Engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := e.Inspect(ctx, string(t.Name))
	if err == nil && c.PID == 0 {
		err = fail.New(nil, "toolbox %s ended", t.Name).Hint("try again")
	}
	return e, c, err
}

// Room is the container of an ephemeral toolbox, for commands in it.
func (t *Ephemeral) Room(ctx context.Context) (Room, error) {
	e, c, err := t.container(ctx)
	if err != nil {
		return Room{}, err
	}
	return Room{e, c.ID}, nil
}

// Carry looks at what an ephemeral toolbox holds, compared with nothing.
func (t *Ephemeral) Carry(ctx context.Context, o *carry.Order) (*carry.Answer, error) {
	_, c, err := t.container(ctx)
	if err != nil {
		return nil, err
	}
	o.Old, o.Base, o.New = c.PID, c.PID, c.PID
	return t.manager.space().Carry(ctx, o)
}
