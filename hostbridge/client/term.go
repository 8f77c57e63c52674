package client

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// term is the terminal of this process in the toolbox, if one of 0, 1, 2 is one.
type term struct {
	fd    int           // -1 if there is none
	out   int           // descriptor to write to
	mask  uint16        // wire.FlagTTY* bits
	saved *unix.Termios // its settings at the start
	size  unix.Winsize
	raw   bool
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
	}
}

func (t *term) readSize() {
	if ws, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ); err == nil {
		t.size = *ws
	}
}

// whole says that both input and output are the terminal: no pipeline whose
// other end may want to read it.
func (t *term) whole() bool {
	const both = wire.FlagTTYIn | wire.FlagTTYOut
	return t.mask&both == both
}

// foreground says whether this process may read its terminal now.
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

// hostProcessing says whether the terminal on the host shall process output
// (newline to carriage return and newline) because this one does not.
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
