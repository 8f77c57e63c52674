package client

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// term is the terminal of this process in the toolbox, if one of 0, 1, 2 is one.
type term struct {
	fd    int           // -1 if there is none
	out   int           // descriptor to write to
	mask  uint16        // wire.FlagTTY* bits
	saved *unix.Termios // its settings when this process got it
	lent  bool          // they were read in the background, and may be those of a shell that edits a line
	size  unix.Winsize
	raw   bool
	key   syscall.Signal // that was last asked for by a key, SIGINT or SIGQUIT
}

func (t *term) detect() {
	t.fd = -1
	for _, fd := range []int{1, 2, 0} {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			continue
		}
		t.mask |= wire.FlagTTYIn << fd
		if t.fd < 0 {
			t.out, t.saved = fd, tio
			t.fd = fd
		}
		if fd == 0 {
			t.fd = 0 // the others may be open for writing only
		}
	}
	if t.fd >= 0 {
		t.readSize()
		t.lent = !t.foreground()
	}
}

// adopt reads the terminal's settings again when this process gets the terminal. The
// command's terminal gets them too, unless the command has changed its own.
func (t *term) adopt(master int) {
	tio, err := unix.IoctlGetTermios(t.fd, unix.TCGETS)
	if err != nil || t.raw {
		return
	}
	t.saved = tio
	if t.lent && unix.IoctlSetTermios(master, unix.TCSETS, tio) == nil {
		t.lent = false
	}
}

func (t *term) readSize() {
	if ws, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ); err == nil {
		t.size = *ws
	}
}

// whole reports whether both input and output are the terminal. In a pipeline the other
// program may want to read it.
func (t *term) whole() bool {
	const both = wire.FlagTTYIn | wire.FlagTTYOut
	return t.mask&both == both
}

// foreground reports whether this process may read its terminal now.
func (t *term) foreground() bool {
	if t.fd < 0 {
		return false
	}
	pgrp, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// bytes are the settings for the command's terminal on the host.
func (t *term) bytes() []byte {
	if t.saved == nil {
		return nil
	}
	var b []byte
	for _, flags := range []uint32{t.saved.Iflag, t.saved.Oflag, t.saved.Cflag, t.saved.Lflag} {
		b = binary.LittleEndian.AppendUint32(b, flags)
	}
	b = append(b, t.saved.Line)
	return append(b, t.saved.Cc[:wire.TermiosSize-17]...)
}

// noteKeys looks for the keys that end a job. The terminal on the host sends their signal
// to the command only; a script that called it would not get it.
func (t *term) noteKeys(typed []byte) {
	for _, c := range typed {
		switch c {
		case t.saved.Cc[unix.VINTR]:
			t.key = syscall.SIGINT
		case t.saved.Cc[unix.VQUIT]:
			t.key = syscall.SIGQUIT
		}
	}
}

// setRaw passes every byte through, for the terminal on the host to interpret.
func (t *term) setRaw() {
	if t.raw || t.saved == nil {
		return
	}
	tio := *t.saved
	tio.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	tio.Oflag &^= unix.OPOST
	tio.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	tio.Cflag = tio.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	tio.Cc[unix.VMIN], tio.Cc[unix.VTIME] = 1, 0
	t.raw = unix.IoctlSetTermios(t.fd, unix.TCSETSW, &tio) == nil
}

func (t *term) restore() {
	if t.raw {
		unix.IoctlSetTermios(t.fd, unix.TCSETSW, t.saved)
		t.raw = false
	}
}

// hostProcessing sets whether the terminal on the host processes output (newline to
// carriage return and newline), which this one then does not do.
func (t *term) hostProcessing(master int, on bool) {
	tio, err := unix.IoctlGetTermios(master, unix.TCGETS)
	if err != nil || t.saved.Oflag&unix.OPOST == 0 {
		return
	}
	tio.Oflag &^= unix.OPOST
	if on {
		tio.Oflag |= unix.OPOST
	}
	unix.IoctlSetTermios(master, unix.TCSETS, tio)
}
