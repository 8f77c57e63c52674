package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

// Provisioner returns a Provisioner that shows its progress and asks its questions on the
// terminal.
func (e *Env) Provisioner() (*provision.Provisioner, error) {
	m, err := e.Manager()
	if err != nil {
		return nil, err
	}
	c, err := e.Config()
	if err != nil {
		return nil, err
	}
	display := e.NewDisplay()
	keep, err := toolbox.ParseRetention(c.Snapshots.KeepLast, c.Snapshots.KeepDays, c.Snapshots.MaxSize, "[snapshots] in the settings")
	if err != nil {
		return nil, err
	}
	p := &provision.Provisioner{
		Toolboxes: m,
		Keep:      keep,
		Store:     func(ctx context.Context) (images.Store, error) { return e.Images(ctx) },
		Archives:  func(ctx context.Context) (images.Archives, error) { return e.Images(ctx) },
		Catalogue: e.Catalogue,
		Default:   images.Request{Distro: c.General.Distro, Release: c.General.Release, Image: c.General.Image},
		Registry:  func(authFile string) images.Registry { return e.Registry(authFile) },
		StateDir:  m.Host.Dirs.State,
		Stall:     time.Duration(c.Images.StallSeconds) * time.Second,
		Ask: func(q images.Question) (bool, error) {
			display.expected = q.Bytes
			return e.askImage(q)
		},
		Progress: display.Event,
		Warn:     e.Progress().Warn,
	}
	if c.Images.RequireSignature {
		trust := e.Trust()
		p.Trust = &trust
	}
	return p, nil
}

// askImage asks a question of images.Ensure.
func (e *Env) askImage(q images.Question) (bool, error) {
	text := fmt.Sprintf("Image %s is not here. Download it?", q.Reference)
	if q.Bytes > 0 {
		text = fmt.Sprintf("Image %s is not here. Download %s? (%s are free)", q.Reference, bytesize.Text(q.Bytes), bytesize.Text(q.Free))
	}
	if q.Kind == images.AskBootstrap {
		e.Progress().Warn(q.Cause.Error(), "")
		text = fmt.Sprintf("No registry can be reached. Make %s from the distribution's package mirror with %s?", q.Reference, q.Tool)
	}
	if err := e.Ask(text); err != nil {
		return false, err
	}
	return true, nil
}
