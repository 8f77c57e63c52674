package fetch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Ensure gets the image of choice. agreed says that the user has asked for
// the download in so many words.
func (e *Env) Ensure(ctx context.Context, choice images.Choice, o *Flags, agreed bool) (images.Image, error) {
	policy, err := images.ParsePullPolicy(o.Pull)
	if err != nil {
		return images.Image{}, err
	}
	c, err := e.Config()
	if err != nil {
		return images.Image{}, err
	}
	store, err := e.Images(ctx)
	if err != nil {
		return images.Image{}, err
	}
	_ = os.MkdirAll(e.Dirs().State, 0o700) // who has to write there will say that it cannot
	display := e.NewDisplay()
	opts := images.EnsureOptions{
		Policy: policy,
		Pull:   images.PullOptions{AuthFile: o.AuthFile, Platform: o.Platform, Quiet: time.Duration(c.Images.StallSeconds) * time.Second, Unprepared: o.Unprepared},
		Ask: func(q images.Question) (bool, error) {
			display.expected = q.Bytes
			return e.askImage(q, agreed)
		},
		Registry:   e.Registry(o.AuthFile),
		Bootstrap:  images.BootstrapOptions{StateDir: e.Dirs().State},
		UnsignedOK: o.UnsignedOK,
		Progress:   display.Event,
	}
	if c.Images.RequireSignature {
		trust := e.Trust()
		opts.Trust = &trust
	}
	img, err := images.Ensure(ctx, store, choice, opts)
	if err != nil {
		return img, err
	}
	if p := strings.Split(o.Platform, "/"); len(p) > 1 && (p[0] != img.OS || p[1] != img.Arch) {
		if display.stage != "" { // it was fetched just now
			return img, fail.New(fail.NotFound, "image %s: its registry has it for %s/%s, not for %s", choice.Reference, img.OS, img.Arch, o.Platform).
				Hint("another release or image may be there for %s", o.Platform)
		}
		return img, fail.New(fail.NotFound, "image %s: the one that is here is for %s/%s, not for %s", choice.Reference, img.OS, img.Arch, o.Platform).
			Hint("--pull always fetches the other in its place")
	}
	e.warnOf(img)
	return img, nil
}

// warnOf says what an image brings along that a toolbox does not take over.
func (e *Env) warnOf(img images.Image) {
	for _, s := range Suspicious(img) {
		e.Progress().Warn("the image brings along "+s+", which is left out", "look at it before you trust it: tbx image inspect "+img.ID[:12]+"; a variable can be set all the same: tbx create --env NAME=VALUE")
	}
}

// Suspicious lists what an image brings along that would act on toolboxes or on
// tbx if it were taken over, as NAME=VALUE of its environment and label NAME.
func Suspicious(img images.Image) []string {
	out := []string{}
	for _, kv := range img.Env {
		if name, _, _ := strings.Cut(kv, "="); toolbox.ActsOnPrograms(name) {
			out = append(out, kv)
		}
	}
	for _, label := range cli.SortedKeys(img.Labels) {
		if strings.HasPrefix(label, "io.tbx.") {
			out = append(out, "label "+label)
		}
	}
	return out
}

func (e *Env) askImage(q images.Question, agreed bool) (bool, error) {
	if agreed && q.Kind == images.AskPull {
		return true, nil
	}
	text := fmt.Sprintf("Image %s is not here. Download it?", q.Reference)
	if q.Bytes > 0 {
		text = fmt.Sprintf("Image %s is not here. Download %s? (%s are free)", q.Reference, cli.Size(q.Bytes), cli.Size(q.Free))
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

// mustNotRequireSignature refuses to make an image that nobody signs.
func (e *Env) mustNotRequireSignature(what string, unsignedOK bool) error {
	c, err := e.Config()
	if err != nil {
		return err
	}
	if c.Images.RequireSignature && !unsignedOK {
		return fail.New(fail.Unable, "image %s: signatures are required, and nobody signs what is built here", escape.Text(what)).
			Hint("--unsigned-ok takes it as it is")
	}
	return nil
}

// EnsureBuilt gets the image of b, building it where it must.
func (e *Env) EnsureBuilt(ctx context.Context, b images.Build, unsignedOK bool) (images.Image, error) {
	if err := e.mustNotRequireSignature(b.Tag, unsignedOK); err != nil {
		return images.Image{}, err
	}
	store, err := e.Images(ctx)
	if err != nil {
		return images.Image{}, err
	}
	if err := os.MkdirAll(e.Dirs().State, 0o700); err != nil {
		return images.Image{}, err
	}
	img, err := images.EnsureBuilt(ctx, store, b, e.Dirs().State, e.NewDisplay().Event)
	if err == nil {
		e.warnOf(img)
	}
	return img, err
}
