package join

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// NameTerminal sees to it that the terminal of this process has a name inside, which
// ttyname(3), GnuPG and Emacs ask for, and returns the name: the host's, for the
// host's gpg-agent opens it too. It returns "" where there is no terminal, or no name
// for it.
//
// On the host the terminal is /dev/pts/3, and the toolbox has a /dev/pts of its own.
// So the first session from there mounts the one terminal from the host view on the
// name that the toolbox reserves, which takes some milliseconds; the next finds it.
// A terminal with a number too high is opened anew by its name in the host view,
// which ttyname(3) then finds.
func (t *Target) NameTerminal() string {
	fd, st, ok := terminal()
	if !ok {
		return ""
	}
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil || !filepath.IsAbs(name) {
		return ""
	}
	err = t.isTerminal(name, st)
	if err == nil {
		return name
	}
	number, isPTS := strings.CutPrefix(name, "/dev/pts/")
	if isPTS && errors.Is(err, unix.EIO) && t.isTerminal(HostView+name, st) == nil {
		cmd, cerr := t.Command(&Session{Args: []string{t.Record.Box, "name-terminal", number}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/",
			Root: true})
		if cerr == nil && cmd.Run() == nil && t.isTerminal(name, st) == nil {
			return name
		}
	}
	return t.reopen(HostView+name, st)
}

// terminal finds the first of the standard streams that is a terminal.
func terminal() (fd int, st unix.Stat_t, ok bool) {
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil && unix.Fstat(fd, &st) == nil {
			return fd, st, true
		}
	}
	return 0, st, false
}

// isTerminal says why path is not the terminal st inside. One that has ended, or is
// reserved, is EIO: a stat(2) does not tell it from a live one of the same number.
func (t *Target) isTerminal(path string, st unix.Stat_t) error {
	fd, err := t.open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return sameTerminal(fd, st)
}

func sameTerminal(fd int, st unix.Stat_t) error {
	var is unix.Stat_t
	switch err := unix.Fstat(fd, &is); {
	case err != nil:
		return err
	case is.Dev != st.Dev || is.Ino != st.Ino || is.Rdev != st.Rdev:
		return unix.ENODEV
	}
	return nil
}

// reopen replaces the standard streams that are the terminal st by what is opened at
// path inside, as they are open, and returns the name that they have then.
func (t *Target) reopen(path string, st unix.Stat_t) string {
	name := ""
	for fd := range 3 {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || sameTerminal(fd, st) != nil {
			continue
		}
		again, err := t.open(path, flags&(unix.O_ACCMODE|unix.O_APPEND|unix.O_NONBLOCK)|unix.O_NOCTTY|unix.O_CLOEXEC)
		if err != nil {
			return name
		}
		if sameTerminal(again, st) == nil && eintr.Do(func() error { return unix.Dup3(again, fd, 0) }) == nil {
			name = path
		}
		unix.Close(again)
	}
	return name
}
