package provision

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Fetch has the options for getting an image.
type Fetch struct {
	Pull       string // when to ask the registry, images.ParsePullPolicy; "" is missing
	Platform   string // OS/ARCH[/VARIANT]; "" is this machine's
	AuthFile   string // with the registry's credentials; "" is the user's own
	UnsignedOK bool   // take it even if a signature is required and it has none
	Unprepared bool   // leave the preparation to the first toolbox
	Agreed     bool   // the user has agreed to the download already
}

// Check refuses an impossible Fetch. Errors are of kind fail.Usage.
func (f *Fetch) Check() error {
	if _, err := images.ParsePullPolicy(f.Pull); err != nil {
		return err
	}
	if f.Platform == "" {
		return nil
	}
	parts := strings.Split(f.Platform, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || parts[len(parts)-1] == "" {
		return fail.New(fail.Usage, "platform %s: it must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", escape.Quote(f.Platform))
	}
	return nil
}

// Ensure returns the image of choice, and gets it if necessary; see images.Ensure. It
// warns about settings that the image brings along.
func (p *Provisioner) Ensure(ctx context.Context, choice images.Choice, f Fetch) (images.Image, error) {
	policy, err := images.ParsePullPolicy(f.Pull)
	if err != nil {
		return images.Image{}, err
	}
	store, err := p.Store(ctx)
	if err != nil {
		return images.Image{}, err
	}
	_ = os.MkdirAll(p.StateDir, 0o700) // a later write reports the failure
	fetched := false
	img, err := images.Ensure(ctx, store, choice, images.EnsureOptions{
		Policy: policy,
		Pull:   images.PullOptions{AuthFile: f.AuthFile, Platform: f.Platform, Quiet: p.Stall, Unprepared: f.Unprepared},
		Ask: func(q images.Question) (bool, error) {
			if f.Agreed && q.Kind == images.AskPull {
				return true, nil
			}
			return p.Ask(q)
		},
		Registry:   p.Registry(f.AuthFile),
		Bootstrap:  images.BootstrapOptions{StateDir: p.StateDir},
		Trust:      p.Trust,
		UnsignedOK: f.UnsignedOK,
		Progress: func(ev images.Event) {
			fetched = fetched || ev.Stage != images.StageWarning
			p.Progress(ev)
		},
	})
	if err == nil {
		err = checkPlatform(choice.Reference, img, f.Platform, fetched)
	}
	if err == nil {
		p.warnOf(img)
	}
	return img, err
}

// checkPlatform refuses an image of another platform than the user asked for.
func checkPlatform(ref string, img images.Image, platform string, fetched bool) error {
	p := strings.Split(platform, "/")
	switch {
	case len(p) < 2 || p[0] == img.OS && p[1] == img.Arch:
		return nil
	case fetched:
		return fail.New(fail.NotFound, "image %s: its registry has it for %s/%s, not for %s", ref, img.OS, img.Arch, platform).
			Hint("another release or image may be there for %s", platform)
	}
	return fail.New(fail.NotFound, "image %s: the one that is here is for %s/%s, not for %s", ref, img.OS, img.Arch, platform).
		Hint("--pull always fetches the other in its place")
}

// EnsureBuilt returns the image of b, and builds it if necessary. It refuses if
// signatures are required, because images built here are not signed.
func (p *Provisioner) EnsureBuilt(ctx context.Context, b images.Build, unsignedOK bool) (images.Image, error) {
	if p.Trust != nil && !unsignedOK {
		return images.Image{}, fail.New(fail.Unable,
			"image %s: signatures are required, but images built here are not signed", escape.Text(b.Tag)).
			Hint("--unsigned-ok takes it as it is")
	}
	store, err := p.Store(ctx)
	if err != nil {
		return images.Image{}, err
	}
	if err := os.MkdirAll(p.StateDir, 0o700); err != nil {
		return images.Image{}, err
	}
	img, err := images.EnsureBuilt(ctx, store, b, p.StateDir, p.Progress)
	if err == nil {
		p.warnOf(img)
	}
	return img, err
}

// warnOf warns about settings of an image that a toolbox does not take over.
func (p *Provisioner) warnOf(img images.Image) {
	for _, s := range Suspicious(img) {
		p.Warn("the image brings along "+s+", which is left out",
			"look at it before you trust it: tbx image inspect "+img.ID[:12]+"; a variable can be set all the same: tbx create --env NAME=VALUE")
	}
}

// Suspicious lists the settings of an image that would act on toolboxes or on tbx if they
// were taken over, as NAME=VALUE of its environment and label NAME.
func Suspicious(img images.Image) []string {
	out := []string{}
	for _, kv := range img.Env {
		if name, _, _ := strings.Cut(kv, "="); toolbox.ActsOnPrograms(name) {
			out = append(out, kv)
		}
	}
	for _, label := range slices.Sorted(maps.Keys(img.Labels)) {
		if strings.HasPrefix(label, "io.tbx.") {
			out = append(out, "label "+label)
		}
	}
	return out
}
