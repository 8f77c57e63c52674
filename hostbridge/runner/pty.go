package runner

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/pty"
)

// openPty makes a terminal on the host, of the size and with the settings of
// the client's before anything runs in it, and makes it the controlling
// terminal of this process. No terminal of the host ever enters a toolbox, and
// none of a toolbox ever becomes a controlling terminal here: that would open
// the way for TIOCSTI.
func openPty(job *wire.Job) (master, slave int, err error) {
	master, slave, err = pty.Open("/dev/ptmx", 0)
	if err != nil {
		return -1, -1, err
	}
	if len(job.Termios) == wire.TermiosSize {
		if err := setTermios(slave, job); err != nil {
			return -1, -1, err
		}
	}
	if job.Rows != 0 && job.Cols != 0 {
		ws := unix.Winsize{Row: job.Rows, Col: job.Cols}
		if err := unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &ws); err != nil {
			return -1, -1, err
		}
	}
	if err := unix.IoctlSetInt(slave, unix.TIOCSCTTY, 0); err != nil {
		return -1, -1, err
	}
	return master, slave, nil
}

func setTermios(fd int, job *wire.Job) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	raw := job.Termios
	t.Iflag = binary.LittleEndian.Uint32(raw)
	t.Oflag = binary.LittleEndian.Uint32(raw[4:])
	t.Cflag = binary.LittleEndian.Uint32(raw[8:])
	t.Lflag = binary.LittleEndian.Uint32(raw[12:])
	copy(t.Cc[:], raw[17:])
	if job.TTY&wire.FlagForeground == 0 {
		// The terminal in the toolbox stays as it is and processes the output
		// itself, until the command asks for the foreground.
		t.Oflag &^= unix.OPOST
	}
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// substitute replaces those of 0, 1, 2 that are terminals.
func substitute(stdio []int, tty uint16, with int) []int {
	out := append([]int(nil), stdio...)
	for i := range out {
		if tty&(wire.FlagTTYIn<<i) != 0 {
			out[i] = with
		}
	}
	return out
}
