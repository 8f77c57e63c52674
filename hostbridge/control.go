package hostbridge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/fail"
)

// The control socket is for tbx on the host: one JSON object each way, or, for a prompt,
// a stream of questions and answers. A toolbox may see the socket, but its user namespace
// gives it away.

const maxOrder = 1 << 20 // bytes

// session returns the session that a request names, or the latest.
func (a *agent) session(name string) session.Session {
	if s, err := session.Load(a.Dir, name); err == nil {
		return s
	}
	return session.New(os.Environ(), 0o022)
}

func (a *agent) serveControl(ctx context.Context, l *listener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go a.control(ctx, conn)
	}
}

func (a *agent) control(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	if err := fromHost(conn); err != nil {
		json.NewEncoder(conn).Encode(report{Error: err.Error()})
		return
	}
	conn.SetDeadline(time.Now().Add(startDeadline))
	dec := json.NewDecoder(io.LimitReader(conn, maxOrder))
	var o order
	if err := dec.Decode(&o); err != nil {
		return
	}
	conn.SetDeadline(time.Time{})
	var out report
	switch o.Op {
	case "serve":
		if _, err := a.serveBox(ctx, o.Box, true); err != nil {
			out.Error = err.Error()
		}
	case "status":
		out.Status = a.status()
	case "prompt":
		a.prompts.attach(conn)
		return
	default:
		out.Error = "unknown order"
	}
	json.NewEncoder(conn).Encode(out)
}

func (a *agent) status() *Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := &Status{Pid: os.Getpid(), Running: a.slots.running()}
	for _, s := range a.boxes {
		st.Boxes = append(st.Boxes, s.current().Name)
	}
	slices.Sort(st.Boxes)
	return st
}

// fromHost refuses another user, and a process in another user or mount namespace: an
// answer to a question must not come from a toolbox.
func fromHost(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var p peer
	var idErr error
	if err := raw.Control(func(fd uintptr) { p, idErr = identify(int(fd), Box{Pid: os.Getpid()}) }); err != nil {
		return err
	}
	if idErr != nil {
		return idErr
	}
	defer p.close()
	if p.ns != "own" {
		return fail.New(fail.Unable, "the caller is in a toolbox or a sandbox, and the agent obeys the host alone")
	}
	return nil
}
