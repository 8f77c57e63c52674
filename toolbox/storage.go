package toolbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// warnOfStorage warns a user whose podman has a storage that makes toolboxes slow, and
// names a faster one.
func (m *Manager) warnOfStorage(ctx context.Context, e Engine, id string) {
	c, err := e.Inspect(ctx, id)
	if err != nil {
		return
	}
	if text, hint := slowStorage(c.NamesTable, onOverlay(filepath.Dir(c.NamesTable))); text != "" {
		m.Progress.Warn(text, hint)
	}
}

// slowStorage describes a slow storage: podman copies whole images for every container,
// as podman 4.3 on Debian does for users without a storage.conf, or a program mounts
// them. The kernel cannot mount an overlay whose upper directory is on another overlay;
// there the program is the faster way.
func slowStorage(namesTable string, onOverlay bool) (text, hint string) {
	const anew = "; then make images and containers again"
	copies, mounts := strings.Contains(namesTable, "/vfs-containers/"), throughFUSE(namesTable)
	switch {
	case copies && onOverlay:
		return "your podman copies the whole image for every toolbox (storage driver vfs): its storage is on an overlay, where the " +
				"kernel cannot mount another one",
			`install fuse-overlayfs, and in ~/.config/containers/storage.conf write driver = "overlay" below [storage] and ` +
				`mount_program = "/usr/bin/fuse-overlayfs" below [storage.options.overlay], or move the storage to another disk` + anew
	case copies:
		return "your podman copies the whole image for every toolbox (storage driver vfs)",
			`write driver = "overlay" below [storage] in ~/.config/containers/storage.conf` + anew
	case mounts:
		text = "your podman mounts toolboxes by a program (mount_program, such as fuse-overlayfs): only podman can see their files, " +
			"so commands take longer to begin"
		if onOverlay {
			return text, "its storage is on an overlay, where the kernel cannot; on another disk it can" + anew
		}
		return text, "where the kernel is 5.13 or newer it mounts them itself: leave mount_program out of storage.conf" + anew
	}
	return "", ""
}

// onOverlay reports whether a directory is on an overlay file system, like the home on a
// live system and in a container.
func onOverlay(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC
}

// throughFUSE reports whether containers/storage, given by the path of its table of
// names, mounts by a program: it records that in a file.
func throughFUSE(namesTable string) bool {
	dir, ok := strings.CutSuffix(filepath.Dir(namesTable), "-containers")
	said, err := os.ReadFile(filepath.Join(dir, ".has-mount-program"))
	return ok && err == nil && strings.HasPrefix(string(said), "true")
}
