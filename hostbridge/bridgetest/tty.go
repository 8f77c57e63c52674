package bridgetest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is the outer end of the terminal that a client has.
type terminal struct{ *os.File }

// isRaw looks at the settings of a terminal by its master.
func isRaw(tty *terminal) bool {
	raw, err := tty.SyscallConn()
	if err != nil {
		return false
	}
	var tio *unix.Termios
	raw.Control(func(fd uintptr) { tio, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	return err == nil && tio.Lflag&(unix.ICANON|unix.ISIG|unix.ECHO) == 0
}

// pollable gives a terminal deadlines, which one from package pty has lost.
func pollable(tty *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(tty.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tty"), nil
}

func setSize(t testing.TB, tty *terminal, rows, cols int) {
	t.Helper()
	raw, err := tty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
	})
	if err != nil {
		t.Fatal(err)
	}
}
