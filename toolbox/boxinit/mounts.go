package boxinit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// attachHostView attaches the host's root, which tbx cloned from the host's own mount
// namespace, at HostView. podman could only bind the root of its own namespace, with the
// mounts of every other container in it: 106 entries instead of 26 with three toolboxes.
func (b *box) attachHostView() error {
	if b.cfg.HostTreeFD == 0 {
		return nil
	}
	if mounted, err := isMountPoint(HostView); err != nil || mounted {
		return err
	}
	if err := b.mkdir(HostView); err != nil {
		return err
	}
	if err := unix.MoveMount(b.cfg.HostTreeFD, "", unix.AT_FDCWD, HostView, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		b.cfg.HostFiles = false
		return fmt.Errorf("the host's files cannot be shown at %s: %w", HostView, err)
	}
	return nil
}

// attachBox mounts the versions of tbx-box again if their directory was removed on the
// host while the toolbox ran.
func (b *box) attachBox() error {
	if b.cfg.BoxFD == 0 {
		return nil
	}
	unix.Unmount(BoxDir, unix.MNT_DETACH) // nothing can be mounted on a directory that is gone
	if err := unix.MoveMount(b.cfg.BoxFD, "", unix.AT_FDCWD, BoxDir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("%s, which was cleared away on the host, cannot be mounted anew until the toolbox starts again: %w", BoxDir, err)
	}
	return nil
}

// trimHome removes the mounts of podman's storage from the home, where podman's own
// namespace has one for every running container: the home is mounted again from the host
// view, which has none of them.
func (b *box) trimHome() error {
	home := b.cfg.HomeOnHost
	if home == "" || b.cfg.HostTreeFD == 0 || b.root != "" {
		return nil
	}
	mounts, err := ReadMounts(ownMounts)
	if err != nil || !slices.ContainsFunc(mounts, func(m MountLine) bool {
		return m.FSType == "overlay" && strings.HasPrefix(m.Point, home+"/") && strings.HasSuffix(m.Point, "/merged")
	}) {
		return err
	}
	tree, err := cloneTree(HostView + home)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := unix.Unmount(home, unix.MNT_DETACH); err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, home, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fatal{err: fmt.Errorf("the home cannot be mounted: %w", err)}
	}
	return nil
}

// attachMounts shows the host's mounts below shared directories, if podman left them out:
// a program would write below the mount, where nobody finds the file.
func (b *box) attachMounts() error {
	var failed []error
	for _, a := range b.cfg.Attach {
		if mounted, err := isMountPoint(a.Path); err != nil || mounted {
			failed = append(failed, err)
			continue
		}
		if err := unix.MoveMount(a.FD, "", unix.AT_FDCWD, a.Path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			failed = append(failed, fmt.Errorf("the host's mount at %s is not shown: %w; files written there go below it",
				a.Host, err))
		}
	}
	return errors.Join(failed...)
}

// dropDeviceMounts removes the device nodes that podman binds one by one into a
// privileged container. The host's whole /dev is bound below them, where devices come and
// go.
func (b *box) dropDeviceMounts() error {
	if b.root != "" {
		return nil
	}
	mounts, err := ReadMounts(ownMounts)
	if err != nil {
		return err
	}
	if b.cfg.NoDevices {
		return dropHostDevices(mounts, b.cfg.KeepDevices)
	}
	wholeDev := false
	for _, m := range mounts {
		wholeDev = wholeDev || m.Point == "/dev" && m.Root == "/" && m.FSType == "devtmpfs"
	}
	if !wholeDev {
		return nil
	}
	for _, m := range mounts {
		if m.FSType == "devtmpfs" && m.Root != "/" && m.Point == "/dev"+m.Root {
			if err := unix.Unmount(m.Point, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("%s: %w", m.Point, err)
			}
		}
	}
	return nil
}

// dropHostDevices removes the host's devices from a toolbox that must have none: podman
// gives a privileged container all of them. Names that begin with one of keep stay.
func dropHostDevices(mounts []MountLine, keep []string) error {
	var failed []error
	for _, m := range mounts {
		name, ok := strings.CutPrefix(m.Point, "/dev/")
		if !ok || slices.Contains(ownDevices, strings.SplitN(name, "/", 2)[0]) ||
			slices.ContainsFunc(keep, func(k string) bool { return strings.HasPrefix(name, k) }) {
			continue
		}
		err := unix.Unmount(m.Point, unix.MNT_DETACH)
		if err == nil {
			err = os.Remove(m.Point) // the empty file that it was mounted on
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// ownDevices are the devices that the OCI runtime specification gives every container.
var ownDevices = []string{"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue"}

// bindHostPaths binds directories such as /media, where the host's disks appear and
// disappear, from the host view, which receives the host's mounts.
func (b *box) bindHostPaths() error {
	if !b.cfg.HostFiles || b.root != "" {
		return nil
	}
	mounts, err := ReadMounts(ownMounts)
	if err != nil {
		return err
	}
	var failed []error
	for _, dir := range b.cfg.Binds {
		failed = append(failed, b.bindHostPath(dir, mounts))
	}
	return errors.Join(failed...)
}

// cloneTree clones the mounts at a directory and below it. It clones an automount as
// such: mount(2) would ask its server, which may not answer.
func cloneTree(dir string) (int, error) {
	return unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_NO_AUTOMOUNT)
}

// bindTree mounts a directory, with the mounts below it, at another place. That may be a
// link, like /media in images of the OSTree family.
func bindTree(src, dir string) error {
	tree, err := cloneTree(src)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.2
		return unix.Mount(src, dir, "", unix.MS_BIND|unix.MS_REC, "")
	}
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
}

// bindHostPath binds one of them. If something is mounted below it already, such as the
// owner's volume, that stays visible: then each of the host's directories is bound beside
// it.
func (b *box) bindHostPath(dir string, mounts []MountLine) error {
	src := HostView + dir
	if fi, err := os.Lstat(src); err != nil || !fi.IsDir() {
		return nil // missing on this host, or a link to a place that is bound itself
	}
	if slices.ContainsFunc(mounts, func(m MountLine) bool { return m.Point == dir }) {
		return nil
	}
	if slices.ContainsFunc(mounts, func(m MountLine) bool { return below(m.Point, dir) }) {
		var failed []error
		for _, name := range names(src) {
			failed = append(failed, b.bindHostPath(dir+"/"+name, mounts))
		}
		return errors.Join(failed...)
	}
	err := b.mkdir(dir)
	if err == nil {
		err = bindTree(src, dir)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// hideSELinux keeps programs inside, such as rpm, from asking the host's policy for label
// changes that it would refuse.
func (b *box) hideSELinux() error {
	const dir = "/sys/fs/selinux"
	if b.root != "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil
	}
	return unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC, "size=4k")
}

// ownMounts returns the mounts of this process.
const ownMounts = "/proc/self/mountinfo"

func isMountPoint(path string) (bool, error) {
	mounts, err := ReadMounts(ownMounts)
	if err != nil {
		return false, err
	}
	path = filepath.Clean(path)
	for _, m := range mounts {
		if m.Point == path {
			return true, nil
		}
	}
	return false, nil
}
