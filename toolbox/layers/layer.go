package layers

import (
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/internal/fail"
)

// Layer is the writable layer of one container.
type Layer struct {
	Container string // podman's id
	Image     string // podman's id of its image
	Driver    string // of containers/storage: overlay or vfs
	Upper     string // directory with the container's changes; with vfs, with everything
	Lower     string // of overlay: the image's layers, as podman mounts them
	UIDs      []string
	GIDs      []string // maps of ids, as podman has them
}

// Fit returns an error of kind fail.Unable unless the layers of a and b may be exchanged:
// a container's changes only make sense on the same image, with the same ids.
func Fit(a, b *Layer) error {
	bad := func(why string) error {
		return fail.New(fail.Unable, "the containers %.12s and %.12s cannot exchange their contents: %s", a.Container, b.Container, why)
	}
	for _, l := range []*Layer{a, b} {
		if l.Driver != "overlay" && l.Driver != "vfs" {
			return fail.New(fail.Unable, "podman keeps containers by its storage driver %s, which cannot exchange their contents", l.Driver).
				Hint("the driver overlay can, containers-storage.conf(5)")
		}
		if !filepath.IsAbs(l.Upper) {
			return bad("podman does not say where it keeps them")
		}
	}
	switch {
	case a.Upper == b.Upper:
		return bad("they are the same container")
	case a.Driver != b.Driver:
		return bad("one is kept by storage driver " + a.Driver + ", the other by " + b.Driver)
	case a.Image != b.Image || a.Lower != b.Lower:
		return bad("they are made from different images")
	case !slices.Equal(a.UIDs, b.UIDs) || !slices.Equal(a.GIDs, b.GIDs):
		return bad("their user or group ids are mapped to different ids outside")
	}
	return nil
}
