package boxinit

import (
	"path/filepath"
	"slices"
	"strings"
)

// onVolume reports whether p is on the owner's volume, a file or directory of the host.
// Its contents belong to the owner: tbx neither writes to it, nor replaces anything in
// it, nor warns about it.
func (b *box) onVolume(p string) bool {
	if len(b.cfg.Volumes) == 0 {
		return false
	}
	real := b.realPlace(p)
	return slices.ContainsFunc(b.cfg.Volumes, func(v string) bool { return below(real, b.realPlace(v)) })
}

// realPlace follows the image's links on the way to p, not p itself. If p is a missing
// directory, its nearest existing parent counts.
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
