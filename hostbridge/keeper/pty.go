package keeper

import (
	"encoding/binary"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
)

// openPty makes a terminal on the host, of the size and with the settings of
// the client's before anything runs in it, and makes it the controlling
// terminal of this process. No terminal of the host ever enters a toolbox, and
// none of a toolbox ever becomes a controlling terminal here: that would open
// the way for TIOCSTI.
func openPty(job *wire.Job) (master, slave int, err error) {
	master, err = eintr.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, -1, err
	}
	// TIOCGPTPEER opens the other end itself, whatever /dev/pts is here.
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, -1, errno
	}
	slave = int(fd)
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

// enterDirectory makes the job's directory this process's, and so the
// command's. The passed descriptor is only compared with, never entered: it
// may lie in a file system that exists in the toolbox alone (CVE-2024-21626).
func enterDirectory(job *wire.Job, passed int) *wire.Failure {
	fd, err := eintr.Open(job.Cwd, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		if job.AnyCwd || same(fd, passed) {
			if err = unix.Fchdir(fd); err == nil {
				return nil
			}
		}
	}
	if job.Fallback != "" {
		if err := unix.Chdir(job.Fallback); err == nil {
			return nil
		}
	}
	if job.AnyCwd && err != nil {
		return &wire.Failure{Code: 125, Text: job.Cwd + ": " + err.Error(), Hint: "name a directory of the host with --cwd"}
	}
	return &wire.Failure{
		Code: 125,
		Text: job.Cwd + ": this directory is not shared with the host",
		Hint: "change to a shared directory, or name one of the host with --cwd",
	}
}

// samePath opens path on the host and returns its name without symlinks if it
// is the file or directory that the toolbox opened.
func samePath(path string, passed int) (string, *wire.Failure) {
	fd, err := eintr.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if err != nil || !same(fd, passed) {
		return "", &wire.Failure{Code: 125, Text: path + ": this file is not shared with the host", Hint: "copy it to a directory that is shared"}
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf)
	if err != nil || n == 0 || buf[0] != '/' {
		return "", &wire.Failure{Code: 125, Text: path + ": the host cannot name this file"}
	}
	return string(buf[:n]), nil
}

// same reports whether two descriptors are one regular file or one directory.
// It asks for what the kernel knows already, so that no FUSE server can hold
// it up.
func same(a, b int) bool {
	var x, y unix.Statx_t
	const flags, mask = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE | unix.STATX_INO
	if unix.Statx(a, "", flags, mask, &x) != nil || unix.Statx(b, "", flags, mask, &y) != nil {
		return false
	}
	kind := x.Mode & unix.S_IFMT
	return x.Ino == y.Ino && x.Dev_major == y.Dev_major && x.Dev_minor == y.Dev_minor &&
		kind == y.Mode&unix.S_IFMT && (kind == unix.S_IFREG || kind == unix.S_IFDIR)
}
