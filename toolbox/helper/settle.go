package helper

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"
)

// SettleNamespace is the descriptor of the mount namespace that Settle works on.
const SettleNamespace = 3

// MountOptions are what a mount shall have from now on: MOUNT_ATTR_RDONLY and the
// like of mount_setattr(2).
type MountOptions struct {
	Point string `json:"point"`
	Set   uint64 `json:"set"`
}

// Settle sets options of mounts of a toolbox, read from in as JSON, one after the
// other. It is started on the host by tbx, with the rights of the toolbox's user
// namespace, and one thread of it joins the mount namespace. So nothing of the
// toolbox is executed with these rights, and nobody inside sees this process: the
// process ids are the host's. Options are only added, and a link in the path of a
// mount is an error.
func Settle(in io.Reader) error {
	runtime.LockOSThread() // for good: the thread ends with the program
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(SettleNamespace, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	for wanted := json.NewDecoder(in); ; {
		var m MountOptions
		if err := wanted.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := set(m); err != nil {
			return fmt.Errorf("%s: %w", m.Point, err)
		}
	}
}

func set(m MountOptions) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, m.Point, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: m.Set})
}
