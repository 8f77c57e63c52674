package wire

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/rights"
)

// maxFds is what Recv has room for. The kernel may hand over a few more than
// the room asked for (alignment), and drops the rest with MSG_CTRUNC.
const maxFds = 8

// Send writes one packet with its descriptors to a blocking socket. A peer that
// is gone gives EPIPE, never a signal.
func Send(sock int, f Frame, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	packet := f.Append(make([]byte, 0, HeaderSize+len(f.Body)))
	for {
		err := unix.Sendmsg(sock, packet, oob, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// Recv reads one packet from a blocking socket into buf, which must have room
// for a whole packet, and the descriptors that came with it, close-on-exec.
// It returns io.EOF when the peer has closed. With an error it returns no
// descriptors: it has closed them.
func Recv(sock int, buf []byte) (Frame, []int, error) {
	oob := make([]byte, unix.CmsgSpace(maxFds*4))
	n, oobn, flags, err := 0, 0, 0, error(unix.EINTR)
	// A peer that closes with a packet of ours unread leaves ECONNRESET in front
	// of its own last packet, once: that packet, or the end, comes with the
	// next call.
	for errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNRESET) {
		n, oobn, flags, _, err = unix.Recvmsg(sock, buf, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return Frame{}, nil, err
	}
	fds, err := rights.Received(oob[:oobn])
	var f Frame
	switch {
	case err != nil:
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = errors.New("wire: packet longer, or with more descriptors, than allowed")
	case n == 0 && oobn == 0:
		err = io.EOF
	default:
		f, err = Parse(buf[:n])
	}
	if err != nil {
		CloseAll(fds)
		return Frame{}, nil, err
	}
	return f, fds, nil
}

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// RecvBuffer makes a buffer that any allowed packet fits into.
func RecvBuffer() []byte { return make([]byte, HeaderSize+MaxBody) }
