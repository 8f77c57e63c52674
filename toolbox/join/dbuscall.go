package join

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// callOnce makes one method call on the D-Bus server that listens at socket, and
// waits for the answer, at most timeout for each part of it.
//
// Credentials and call are sent in one piece, as sd-bus does it, and no goroutine
// reads: a connection of the library's takes six turns of each side to get here,
// and every turn wakes a sleeping process up.
func callOnce(socket string, timeout time.Duration, call *dbus.Message) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), socket)
	defer f.Close()
	limit := unix.NsecToTimeval(timeout.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return err
		}
	}
	if err := eintr.Connect(fd, socket); err != nil {
		return err
	}
	const serial = 1
	var out bytes.Buffer
	fmt.Fprintf(&out, "\x00AUTH EXTERNAL %s\r\nBEGIN\r\n", hex.EncodeToString([]byte(strconv.Itoa(os.Getuid()))))
	message := out.Len()
	if err := call.EncodeTo(&out, binary.LittleEndian); err != nil {
		return err
	}
	// The library numbers messages in its connections only. Bytes 8 to 11 of a
	// message are its serial, D-Bus specification, "Message Format".
	binary.LittleEndian.PutUint32(out.Bytes()[message+8:], serial)
	if _, err := f.Write(out.Bytes()); err != nil {
		return err
	}
	in := bufio.NewReader(f)
	if line, err := in.ReadString('\n'); err != nil {
		return err
	} else if len(line) < 3 || line[:3] != "OK " {
		return fmt.Errorf("it refuses these credentials: %q", line)
	}
	for {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return err
		}
		if to, _ := m.Headers[dbus.FieldReplySerial].Value().(uint32); to != serial {
			continue // a signal
		}
		if m.Type == dbus.TypeError {
			name, _ := m.Headers[dbus.FieldErrorName].Value().(string)
			return dbus.Error{Name: name, Body: m.Body}
		}
		return nil
	}
}
