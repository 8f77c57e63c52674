// Package backends chooses the backend for what was detected. It is the one
// place that knows them all.
package backends

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/osrelease"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/abroot"
	"github.com/tbx-project/tbx/osupdate/bootc"
	"github.com/tbx-project/tbx/osupdate/observe"
	"github.com/tbx-project/tbx/osupdate/ostree"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
	"github.com/tbx-project/tbx/osupdate/sysupdate"
	"github.com/tbx-project/tbx/osupdate/transactional"
)

// New returns a function for osupdate.Config.NewBackend. cache is a directory of
// the caller's for the metadata that checks of OSTree remotes fetch; newer is asked
// by checks of images, and may be nil where there are none.
func New(cache string, newer osupdate.Newer) func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) {
	return func(d osupdate.Detection, cfg osupdate.Config) (osupdate.Backend, error) {
		sysroot := cfg.Sysroot
		if sysroot == "" {
			sysroot = cfg.Root
		}
		plain := func() (osupdate.Backend, error) {
			return ostree.New(cfg.Tools, sysroot, cfg.OS, cache, d.Booted)
		}
		switch d.Kind {
		case osupdate.OSTree:
			return plain()
		case osupdate.RPMOSTree:
			var newest func(ctx context.Context, ref string) (*osupdate.Update, error)
			if b, err := ostree.New(cfg.Tools, sysroot, cfg.OS, cache, true); err == nil {
				newest = b.Newest
			}
			b, err := rpmostree.New(cfg.Tools, newer, newest)
			if err != nil {
				return nil, err
			}
			return b.At(cfg.Root, cfg.Superuser), nil
		case osupdate.Bootc:
			opt := bootc.Options{Root: cfg.Superuser, System: cfg.Root, Composefs: d.Composefs, Registry: newer}
			if b, err := plain(); err == nil && !d.Composefs {
				opt.OSTree = b
			}
			return bootc.New(cfg.Tools, opt)
		case osupdate.Sysupdate:
			return sysupdate.New(cfg.Tools, osRelease(cfg.Root, "IMAGE_VERSION"))
		case osupdate.ABRoot:
			return abroot.New(cfg.Tools, cfg.Root, bootedLabel(cfg.Root))
		case osupdate.Transactional:
			return transactional.New(cfg.Tools, cfg.Root)
		}
		var inner osupdate.Backend
		if b, err := plain(); err == nil && d.Kind == osupdate.EOS {
			inner = b
		}
		return observe.New(d.Kind, cfg.Tools, cfg.Root, inner)
	}
}

func osRelease(root, key string) string {
	keys, err := osrelease.Read(root)
	if err != nil {
		return ""
	}
	return keys[key]
}

// bootedLabel is the label, vos-a or vos-b, of the partition that is mounted as
// the root; empty when it is neither.
func bootedLabel(root string) string {
	source := osupdate.RootSource(root)
	for _, label := range []string{"vos-a", "vos-b"} {
		target, err := os.Readlink(filepath.Join(root, "dev/disk/by-label", label))
		if err == nil && source != "" && filepath.Base(target) == filepath.Base(source) {
			return label
		}
	}
	return ""
}
