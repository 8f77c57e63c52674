package provision

import (
	"strings"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/packages"
)

// Outlived reports whether a toolbox's image is of an unsupported release, as far as its
// name tells. It looks at nothing else.
func (p *Provisioner) Outlived(image string, now time.Time) (release string, since string, over bool) {
	cat, host, err := p.Catalogue()
	if err != nil {
		return "", "", false
	}
	if made, ok := strings.CutPrefix(image, images.BootstrapPrefix); ok {
		image = made
	}
	distro, version, _ := strings.Cut(image, ":")
	if c, err := cat.Resolve(images.Request{Image: image}, host); err == nil && c.Distro != "" {
		distro, version = c.Distro, c.Release
	}
	r := packages.ReleaseOf(map[string]string{"ID": distro, "VERSION_ID": version}, now)
	return r.Name, r.Ends, r.Over
}
