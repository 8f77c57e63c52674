package helper

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// NameTerminal shows the host's terminal /dev/pts/N, for the number N in args, under that
// name in the toolbox, where it runs as root. The toolbox's first process reserves the
// name. A terminal that was mounted there before has ended on the host.
func NameTerminal(args []string) error {
	if len(args) != 1 {
		return errors.New("name-terminal needs a number")
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
