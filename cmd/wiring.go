//go:build !front

package cmd

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/images"
	imagestore "github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/toolbox/podman"
)

// podman connects to podman once.
func (e *Env) podman(ctx context.Context) (*podman.Engine, error) {
	if e.engine != nil {
		return e.engine, nil
	}
	h, err := e.Host()
	if err != nil {
		return nil, err
	}
	e.signals.catch()
	e.progress().Stage("waiting for podman")
	defer e.progress().Stage("")
	e.engine, err = podman.Connect(ctx, h.TbxRuntime(), e.progress().Warn)
	return e.engine, err
}

// Images returns podman's images.
func (e *Env) Images(ctx context.Context) (*imagestore.Store, error) {
	if _, err := e.Config(); err != nil {
		return nil, err
	}
	engine, err := e.podman(ctx)
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
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if f, err := os.Open(path); err == nil {
			defer f.Close()
			os, err := images.ParseOSRelease(f)
			return cat, os, err
		}
	}
	return cat, images.HostOS{}, nil
}
