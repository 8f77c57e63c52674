// Package ptytest gives tests a program on a terminal that they can hang up. Only tests
// import it.
package ptytest

import (
	"os"
	"os/exec"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Start starts cmd as the first process on a new terminal, and returns the terminal's
// outer end. That has deadlines, and its Close hangs the terminal up at once. The result
// of package pty blocks: a reader keeps the descriptor open, and with it a silent
// program, however often it is closed.
func Start(cmd *exec.Cmd, rows, cols uint16) (*os.File, error) {
	blocking, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: cols})
	if err != nil {
		return nil, err
	}
	defer blocking.Close() // nobody reads it
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pty"), nil
}

// Resize gives the terminal a size. File.Fd would make it block again.
func Resize(terminal *os.File, rows, cols uint16) error {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	if err != nil {
		return err
	}
	return failed
}
