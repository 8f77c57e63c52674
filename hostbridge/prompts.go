package hostbridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// prompts are the attached `tbx agent --prompt`; the latest is asked.
type prompts struct {
	mu   sync.Mutex
	open []*prompt
	busy chan struct{} // holds one while a question is put
}

// turn serves the toolboxes in the order of their questions: each has one open. It is
// ErrNobody if no terminal is attached.
func (p *prompts) turn(ctx context.Context) (done func(), err error) {
	p.mu.Lock()
	if p.busy == nil {
		p.busy = make(chan struct{}, 1)
	}
	busy, attached := p.busy, len(p.open) > 0
	p.mu.Unlock()
	if !attached {
		return nil, ErrNobody
	}
	select {
	case busy <- struct{}{}:
		return func() { <-busy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type prompt struct {
	conn *net.UnixConn
	in   *bufio.Reader
	part []byte // of a reply, from before a time limit
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
	defer context.AfterFunc(ctx, func() { one.conn.SetDeadline(time.Unix(1, 0)) })() // also for writing: it may be stopped
	one.conn.SetDeadline(time.Time{})
	if err := json.NewEncoder(one.conn).Encode(q); err != nil {
		return false, err
	}
	for {
		ans, err := one.reply()
		if ctx.Err() != nil { // the terminal stays, for the next question
			return false, ctx.Err()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // the question before has ended just now
			one.conn.SetDeadline(time.Time{})
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
