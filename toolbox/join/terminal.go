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

// NameTerminal gives the terminal of this process a name inside, which ttyname(3), GnuPG
// and Emacs need, and returns it: the host's name, because the host's gpg-agent opens it
// too. It returns "" without a terminal, or if it can have no name.
//
// On the host the terminal is /dev/pts/3, and the toolbox has a /dev/pts of its own. So
// the first session from there mounts this one terminal from the host view on the name
// that the toolbox reserves, which takes some milliseconds; the next one finds it. A
// terminal with a higher number is opened again by its name in the host view, which
// ttyname(3) then finds.
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

// isTerminal returns why path is not the terminal st inside, or nil. One that has ended,
// or is reserved, is EIO: stat(2) does not distinguish it from a live one of the same
// number.
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

// reopen replaces the standard streams on the terminal st by new ones on path inside,
// opened with the same flags, and returns their name.
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
