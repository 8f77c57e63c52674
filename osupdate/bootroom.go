package osupdate

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// noRoomAtShutdown warns of a staged system whose kernel does not fit into /boot: it is
// written there at the shutdown, when nobody watches. ostree may make room by dropping the
// kernel of the way back, so that this is no refusal. Empty where there is room, where /boot
// has that kernel, and where its size is not known.
func (h *Host) noRoomAtShutdown(s *State) []string {
	next := s.Next()
	if writes, _ := h.det.finalizer(); writes == "" || h.det.Composefs || next == nil || !next.Staged {
		return nil
	}
	place := h.places()[0]
	boot, dir := place.path, h.deploymentDir(next)
	var fs unix.Statfs_t
	need := uint64(0)
	for _, file := range []string{"vmlinuz", "initramfs.img"} {
		found, _ := filepath.Glob(filepath.Join(dir, "usr/lib/modules/*", file)) // the pattern is constant: no error
		for _, f := range found {
			if size := fileSize(f); !kernelThere(boot, file, filepath.Base(filepath.Dir(f)), size) {
				need += size
			}
		}
	}
	if need == 0 || unix.Statfs(boot, &fs) != nil {
		return nil
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free >= need {
		return nil
	}
	return []string{fmt.Sprintf("%s has %d MiB free, and the kernel of %s, which is staged, takes %d MiB there: the shutdown may fail to "+
		"write it, and the running system would boot again; make room: tbx host cleanup", boot, free>>20, s.Label(next), (need+1<<20-1)>>20)}
}

// deploymentDir is where OSTree has the files of a system: its name is the state root, a
// dash, and the name of the directory.
func (h *Host) deploymentDir(d *Deployment) string {
	root := h.cfg.Root
	if h.cfg.Sysroot != "" {
		root = h.cfg.Sysroot
	}
	return filepath.Join(root, "ostree/deploy", d.Stateroot, "deploy", strings.TrimPrefix(d.ID, d.Stateroot+"-"))
}

// kernelThere reports whether boot has a kernel, or an initramfs, of that version and size:
// OSTree keeps one for all systems that have the same.
func kernelThere(boot, file, version string, size uint64) bool {
	name := strings.TrimSuffix(file, ".img")
	found, _ := filepath.Glob(filepath.Join(boot, "ostree/*", name+"-*"))
	for _, f := range found {
		if fileSize(f) == size && strings.Contains(filepath.Base(f), version) {
			return true
		}
	}
	return false
}

// fileSize returns the size of a regular file in bytes, and 0 where there is none.
func fileSize(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return uint64(st.Size)
}
