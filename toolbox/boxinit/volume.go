package boxinit

import (
	"path/filepath"
	"slices"
	"strings"
)

// onVolume says whether p is on a volume that the owner asked for, a file of the host's or
// a directory. What is there is the owner's: tbx neither writes to it, nor puts anything
// in its place, nor has a warning for it.
func (b *box) onVolume(p string) bool {
	if len(b.cfg.Volumes) == 0 {
		return false
	}
	real := b.realPlace(p)
	return slices.ContainsFunc(b.cfg.Volumes, func(v string) bool { return below(real, b.realPlace(v)) })
}

// realPlace follows the image's links on the way to p, not p itself. Where p is a
// directory that is missing, the nearest that is there counts.
func (b *box) realPlace(p string) string {
	dir, rest := filepath.Dir(filepath.Clean(p)), filepath.Base(p)
	for dir != "/" && !b.exists(dir) {
		dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
	}
	if real, err := filepath.EvalSymlinks(b.root + dir); err == nil {
		dir = strings.TrimPrefix(real, b.root)
	}
	return filepath.Join("/", dir, rest)
}
