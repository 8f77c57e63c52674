// Package fetch holds what commands share that need an image or a choice among toolboxes:
// podman, the catalogue, keys and records; and the flags, questions and display for
// getting an image. It must not be linked into tbx, which starts without all of this.
package fetch

import (
	"context"
	"path/filepath"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/images"
	imagestore "github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/internal/osrelease"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/podman"
)

// Env is cli.Env with the parts that only the whole of tbx has.
type Env struct {
	*cli.Env
	engine *podman.Engine
}

// New returns an Env around env, whose Engine is podman's from then on.
func New(env *cli.Env) *Env {
	e := &Env{Env: env}
	env.Engine = func(ctx context.Context) (toolbox.Engine, error) { return e.Podman(ctx) }
	return e
}

// Podman connects to podman once.
func (e *Env) Podman(ctx context.Context) (*podman.Engine, error) {
	if e.engine != nil {
		return e.engine, nil
	}
	h, err := e.Host()
	if err != nil {
		return nil, err
	}
	e.CatchSignals()
	e.Progress().Stage("waiting for podman")
	defer e.Progress().Stage("")
	engine, err := podman.Connect(ctx, h.TbxRuntime(), e.Progress().Warn)
	if err != nil {
		return nil, err
	}
	e.engine = engine
	e.sweep(ctx)
	return e.engine, nil
}

// sweep removes leftovers of an ephemeral toolbox whose tbx was killed. If it fails, the
// command goes on.
func (e *Env) sweep(ctx context.Context) {
	m, err := e.Manager()
	if err == nil {
		err = m.SweepEphemeral(ctx)
	}
	if err != nil {
		e.Log.Debugf("what an ephemeral toolbox left: %v", err)
	}
}

// Images returns podman's images.
func (e *Env) Images(ctx context.Context) (*imagestore.Store, error) {
	if _, err := e.Config(); err != nil {
		return nil, err
	}
	engine, err := e.Podman(ctx)
	if err != nil {
		return nil, err
	}
	return imagestore.New(engine.Client()), nil
}

// Catalogue returns the known distributions and the host's own release.
func (e *Env) Catalogue() (*images.Catalogue, images.HostOS, error) {
	h, err := e.Host()
	if err != nil {
		return nil, images.HostOS{}, err
	}
	var overrides []images.Override
	for _, path := range []string{"/etc/tbx/distros.toml", filepath.Join(h.Dirs.Config, "distros.toml")} {
		data, err := ownfile.ReadIfThere(path)
		if err != nil {
			return nil, images.HostOS{}, err
		}
		if data != nil {
			overrides = append(overrides, images.Override{Path: path, Data: data})
		}
	}
	cat, err := images.LoadCatalogue(overrides...)
	if err != nil {
		return nil, images.HostOS{}, err
	}
	keys, err := osrelease.Read("/")
	return cat, images.HostOSOf(keys), err
}
