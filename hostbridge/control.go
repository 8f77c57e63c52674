package hostbridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
)

// The control socket is for tbx on the host: one JSON object each way, or, for
// a prompt, a stream of questions and answers. A toolbox may see the socket; it
// is turned away by its user namespace.

// order is what tbx asks of the agent.
type order struct {
	Op  string `json:"op"` // serve, prompt, status
	Box string `json:"box,omitempty"`
}

// report is the agent's answer.
type report struct {
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// Status is what an agent tells of itself.
type Status struct {
	Pid     int      `json:"pid"`
	Boxes   []string `json:"boxes"`   // names, sorted
	Running int      `json:"running"` // commands
}

const maxOrder = 1 << 20 // bytes

// session finds the session that a request names, or the latest.
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
	st := &Status{Pid: os.Getpid(), Running: len(a.all)}
	for _, s := range a.boxes {
		st.Boxes = append(st.Boxes, s.current().Name)
	}
	slices.Sort(st.Boxes)
	return st
}

// fromHost refuses whoever is not of this user, or is in another user or mount
// namespace: an answer to a question must not come from a toolbox.
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

// prompts are the `tbx agent --prompt` that are attached; the latest is asked.
type prompts struct {
	mu   sync.Mutex
	open []*prompt
}

type prompt struct {
	conn *net.UnixConn
	in   *bufio.Reader
	part []byte // of a reply, from before a time limit
	busy sync.Mutex
}

// reply reads one reply. After a time limit it can be called again.
func (p *prompt) reply() (reply, error) {
	const most = 4096
	line, err := p.in.ReadSlice('\n')
	p.part = append(p.part, line...)
	if err == nil && len(p.part) > most {
		err = errors.New("the reply is too long")
	}
	if err != nil {
		return reply{}, err
	}
	var out reply
	err = json.Unmarshal(p.part, &out)
	p.part = nil
	return out, err
}

func (p *prompts) attach(conn *net.UnixConn) {
	one := &prompt{conn: conn, in: bufio.NewReader(conn)}
	p.mu.Lock()
	p.open = append(p.open, one)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.open = slices.DeleteFunc(p.open, func(o *prompt) bool { return o == one })
	}()
	waitHangup(conn)
	conn.Close()
}

// waitHangup returns when the other end is closed, without reading.
func waitHangup(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	fd := -1
	raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if fd < 0 || err != nil {
		return
	}
	defer unix.Close(fd)
	eintr.Await([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}})
}

// Ask puts the question to the latest terminal that is attached.
func (p *prompts) Ask(ctx context.Context, q Question) (bool, error) {
	p.mu.Lock()
	if len(p.open) == 0 {
		p.mu.Unlock()
		return false, ErrNobody
	}
	one := p.open[len(p.open)-1]
	p.mu.Unlock()
	one.busy.Lock() // one question at a time in one terminal
	defer one.busy.Unlock()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	defer context.AfterFunc(ctx, func() { one.conn.SetReadDeadline(time.Unix(1, 0)) })()
	one.conn.SetReadDeadline(time.Time{})
	if err := json.NewEncoder(one.conn).Encode(q); err != nil {
		return false, err
	}
	for {
		ans, err := one.reply()
		if ctx.Err() != nil { // the terminal stays, for the next question
			return false, ctx.Err()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // the question before has ended just now
			one.conn.SetReadDeadline(time.Time{})
			continue
		}
		if err != nil {
			one.conn.Close()
			return false, err
		}
		if ans.Seq == q.Seq { // else it is late, for a question before
			return ans.Yes, nil
		}
	}
}

type reply struct {
	Seq uint64 `json:"seq"`
	Yes bool   `json:"yes"`
}

// Prompt attaches to the agent and puts its questions to ask, until ctx ends or
// the agent does. An answer that comes after the agent's time limit is ignored.
func Prompt(ctx context.Context, dir string, ask func(Question) (yes bool)) error {
	conn, err := dialControl(dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	enc, dec := json.NewEncoder(conn), json.NewDecoder(conn)
	if err := enc.Encode(order{Op: "prompt"}); err != nil {
		return err
	}
	for {
		var q Question
		if err := dec.Decode(&q); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fail.Wrap(nil, err, "the agent has ended")
		}
		answer := make(chan bool, 1)
		go func() { answer <- ask(q) }()
		select {
		case <-ctx.Done():
			return nil
		case yes := <-answer:
			if err := enc.Encode(reply{q.Seq, yes}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func dialControl(dir string) (*net.UnixConn, error) {
	path := controlSocket(dir)
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fail.Wrap(fail.NotFound, err, "the agent is not running").Hint("it starts with the next: tbx enter or tbx run")
	}
	if err := privateDir(filepath.Dir(path)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// AskStatus asks a running agent about itself. fail.NotFound: there is none.
func AskStatus(dir string) (Status, error) {
	var out report
	if err := call(dir, order{Op: "status"}, &out); err != nil {
		return Status{}, err
	}
	return *out.Status, nil
}

func call(dir string, o order, out *report) error {
	conn, err := dialControl(dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err = json.NewEncoder(conn).Encode(o); err == nil || errors.Is(err, unix.EPIPE) {
		err = json.NewDecoder(conn).Decode(out)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return fail.Wrap(fail.NotFound, err, "the agent has just ended")
	case err != nil:
		return fail.Wrap(nil, err, "the agent gave no answer")
	case out.Error != "":
		return errors.New(out.Error)
	}
	return nil
}
