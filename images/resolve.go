package images

import (
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
)

// BootstrapPrefix begins the name of an image that tbx made from a mirror; behind it are the
// distribution, a colon and the release.
const BootstrapPrefix = "localhost/tbx/"

// Request is what the user asked for; all empty means the default for the host.
type Request struct {
	Distro  string // name, alias, or NAME:RELEASE
	Release string
	Image   string // a reference, instead of the two above
}

// Choice is the one image that a Request resolves to.
type Choice struct {
	Distro      string // name in the catalogue; "" for an image that it does not know
	Release     string // "" when Distro is ""
	Reference   string // what to pull; a tag or digest is always there, except for an image ID
	Local       string // the name of its bootstrapped image in the local store; "" if there is none
	ToolboxName string // default name of a toolbox made from it
	Bootstrap   *BootstrapRecipe
	Suite       string // the mirror's name of Release; "" where Bootstrap is nil
}

// Resolve picks the image. Errors are of kind fail.Usage (malformed or
// impossible) or fail.NotFound (a distribution that is not in the catalogue),
// with the nearest names as hints.
func (c *Catalogue) Resolve(req Request, host HostOS) (Choice, error) {
	if req.Image != "" {
		if req.Distro != "" || req.Release != "" {
			return Choice{}, fail.New(fail.Usage, "image %s: give either an image or a distribution and release, not both", escape.Quote(req.Image))
		}
		return c.resolveImage(req.Image)
	}
	name, release := req.Distro, req.Release
	if n, r, found := strings.Cut(name, ":"); found && release == "" {
		name, release = n, r
	}
	d, isHost := c.forHost(host)
	if name != "" {
		asked := c.Find(name)
		if asked == nil {
			return Choice{}, c.unknown(name)
		}
		isHost = isHost && asked == d
		d = asked
	}
	if release == "" && isHost {
		release = d.hostRelease(host)
	}
	if release == "" {
		release = d.Default
	}
	release, err := d.release(release)
	if err != nil {
		return Choice{}, err
	}
	return d.choice(release)
}

// forHost returns the host's own distribution, else the first that it says it
// is like, else the catalogue's default; itself tells the first case.
func (c *Catalogue) forHost(host HostOS) (d *Distro, itself bool) {
	if d := c.Find(host.ID); d != nil {
		return d, true
	}
	for _, id := range host.IDLike {
		if d := c.Find(id); d != nil {
			return d, false
		}
	}
	return c.Find(c.fallback), false
}

func (c *Catalogue) unknown(name string) error {
	e := fail.New(fail.NotFound, "distribution %s: it is not in the catalogue", escape.Quote(name))
	if near := nearest.Names(name, c.names()); len(near) > 0 {
		e.Hint("did you mean %s?", strings.Join(near, ", "))
	}
	return e.Hint("tbx image catalog lists all; --image takes any reference")
}

func (c *Catalogue) resolveImage(image string) (Choice, error) {
	ref, err := ParseRef(image)
	if err != nil {
		return Choice{}, err
	}
	if ref.ID != "" {
		return Choice{Reference: ref.ID, ToolboxName: "toolbox-" + ref.ID[:12]}, nil
	}
	ref = ref.Tagged()
	if d := c.ofImage(ref); d != nil { // the same image has the same name however it was asked for
		return d.choice(d.tagRelease(ref.Tag))
	}
	name := ref.Base()
	if ref.Tag != "" {
		name += "-" + ref.Tag
	}
	return Choice{Reference: ref.String(), ToolboxName: name}, nil
}

// ofImage finds the distribution whose image this is: by its full reference,
// or, for a short name, by Toolbx's names such as fedora-toolbox:44.
func (c *Catalogue) ofImage(ref Ref) *Distro {
	if ref.Digest != "" {
		return nil // a pinned image is taken as it is
	}
	for _, d := range c.Distros {
		full, err := d.ref(d.tagRelease(ref.Tag))
		if err == nil && (ref == full || d.Contract == "toolbox" && ref.Short() && ref.Path == full.Base() && ref.Tag == full.Tag) {
			return d
		}
	}
	return nil
}

// tagRelease is the release whose image would carry that tag, or "".
func (d *Distro) tagRelease(tag string) string {
	before, after, _ := strings.Cut(d.Image[strings.LastIndexByte(d.Image, ':')+1:], "{release}")
	release, ok := strings.CutPrefix(tag, before)
	release, ok2 := strings.CutSuffix(release, after)
	if !ok || !ok2 || !d.releases.MatchString(release) {
		return ""
	}
	return release
}

func (d *Distro) choice(release string) (Choice, error) {
	ref, err := d.ref(release)
	if err != nil {
		return Choice{}, err
	}
	ch := Choice{Distro: d.Name, Release: release, Reference: ref.String(), ToolboxName: d.Prefix + "-" + ref.Tag}
	if len(d.Bootstrap.Tools) > 0 && d.Bootstrap.Suites[release] != "" {
		ch.Bootstrap, ch.Suite = &d.Bootstrap, d.Bootstrap.Suites[release]
		ch.Local = BootstrapPrefix + d.Name + ":" + release
	}
	return ch, nil
}
