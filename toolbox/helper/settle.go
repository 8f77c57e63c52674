package helper

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"
)

// SettleNamespace is the descriptor of the mount namespace for Settle.
const SettleNamespace = 3

// MountOptions are the new options of a mount: MOUNT_ATTR_RDONLY and the like of
// mount_setattr(2).
type MountOptions struct {
	Point string `json:"point"`
	Set   uint64 `json:"set"`
}

// Settle sets options of a toolbox's mounts, read from in as JSON, one after the other.
// tbx starts it on the host, with the rights of the toolbox's user namespace, and one of
// its threads joins the mount namespace. So nothing of the toolbox runs with these
// rights, and nobody inside sees this process, because its pid namespace is the host's.
// It only adds options, and a link in the path of a mount is an error.
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
