package hostbridge

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
)

// receive reads the request and nothing after it: the descriptors that follow are for
// the runner. It asks for no control messages, so that the kernel drops uninvited
// descriptors without opening them here.
func (r *request) receive() error {
	deadline := time.Now().Add(startDeadline) // monotonic
	r.conn.SetDeadline(deadline)
	if err := awaitReadable(r.conn); err != nil { // a silent connection must not use a buffer
		return errSilent
	}
	buf := r.a.buffers.Get().(*[wire.HeaderSize + wire.MaxBody]byte)[:]
	defer r.a.buffers.Put((*[wire.HeaderSize + wire.MaxBody]byte)(buf))
	var asm wire.Assembler
	for r.start == nil {
		n, _, flags, _, err := r.conn.ReadMsgUnix(buf, nil)
		if err != nil || n == 0 {
			return errSilent
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			return &refusal{code: 125, reason: "a packet is longer than allowed, or has descriptors where none belong"}
		}
		f, err := wire.Parse(buf[:n])
		if err != nil {
			return &refusal{code: 125, reason: err.Error(), hint: versionHint(err)}
		}
		if r.peer.pid == 0 { // before anything larger is read
			if err := r.identify(); err != nil {
				return err
			}
		}
		if f.Flags&wire.FlagMore != 0 && f.Type == wire.TypeStart {
			select { // requests of megabytes must not be in memory all at once
			case r.s.long <- struct{}{}:
				defer func() { <-r.s.long }()
			case <-time.After(time.Until(deadline)):
				return &refusal{code: 125, reason: "too many long requests of this toolbox at once", hint: "wait a moment"}
			}
		}
		if r.start, err = asm.Add(f); err != nil {
			return &refusal{code: 125, reason: err.Error()}
		}
	}
	r.conn.SetDeadline(time.Time{})
	return nil
}

// awaitReadable returns when there is something to read.
func awaitReadable(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := eintr.Ready([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}})
		return n != 0 || err != nil
	})
}

// errSilent is a connection that went away, or sent nothing in time.
var errSilent = errors.New("no request")

func versionHint(err error) string {
	if errors.Is(err, wire.ErrVersion) {
		return "restart the toolbox, so that it gets the tbx-box of the installed tbx"
	}
	return ""
}

func (r *request) identify() error {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return err
	}
	var idErr error
	if err := raw.Control(func(fd uintptr) { r.peer, idErr = identify(int(fd), r.box) }); err != nil {
		return err
	}
	r.rec.BoxID, r.rec.Box = r.box.ID, r.box.Name
	r.rec.PeerPid, r.rec.PeerUID, r.rec.NS = r.peer.pid, r.peer.uid, r.peer.ns
	if idErr != nil {
		return deny(idErr.Error(), "")
	}
	return nil
}
