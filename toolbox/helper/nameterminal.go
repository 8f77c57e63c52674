package helper

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// NameTerminal shows the host's terminal /dev/pts/N, for the number N in args, under
// that name in the toolbox, in which it runs as root. The name is one that the
// toolbox's first process reserves. What was mounted there before is a terminal of the
// host's that has ended.
func NameTerminal(args []string) error {
	if len(args) != 1 {
		return errors.New("name-terminal wants a number")
	}
	if _, err := strconv.Atoi(args[0]); err != nil {
		return err
	}
	name := filepath.Join("/dev/pts", args[0])
	for unix.Unmount(name, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil {
	}
	if err := unix.Mount(filepath.Join("/run/host/dev/pts", args[0]), name, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount on %s: %w", name, err)
	}
	return nil
}
