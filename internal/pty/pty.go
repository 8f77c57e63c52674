// Package pty opens pairs of pseudo terminals.
package pty

import (
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// Open opens a pair by the multiplexer ptmx, with flags of open(2) for the master, such
// as O_NONBLOCK. Both are closed on exec, and neither becomes a controlling terminal.
// ptmx may belong to another devpts: the slave is opened with TIOCGPTPEER, ioctl_tty(2),
// because its path would name another terminal here.
func Open(ptmx string, flags int) (master, slave int, err error) {
	const own = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	if master, err = eintr.Open(ptmx, own|flags, 0); err != nil {
		return -1, -1, err
	}
	if err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err == nil {
		fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, own)
		if errno == 0 {
			return master, int(fd), nil
		}
		err = errno
	}
	unix.Close(master)
	return -1, -1, err
}

// CopySize sets the size of the terminal to to that of the terminal from.
func CopySize(to, from int) {
	if size, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ); err == nil {
		unix.IoctlSetWinsize(to, unix.TIOCSWINSZ, size)
	}
}
