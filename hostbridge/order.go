package hostbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// order is a request of tbx to the agent.
type order struct {
	Op  string `json:"op"` // serve, prompt, status
	Box string `json:"box,omitempty"`
}

// report is the agent's answer.
type report struct {
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// Status is the agent's description of itself.
type Status struct {
	Pid     int      `json:"pid"`
	Boxes   []string `json:"boxes"`   // names, sorted
	Running int      `json:"running"` // commands
}

// orderLimit is how long tbx waits for the agent, which needs milliseconds. One that was
// stopped, or hangs in a file system, never answers.
const orderLimit = 10 * time.Second

// Prompt attaches to the agent and puts its questions to ask, until ctx ends or
// the agent does. An answer that comes after the agent's time limit is ignored.
func Prompt(ctx context.Context, dir string, ask func(Question) (yes bool)) error {
	if _, err := AskStatus(ctx, dir); err != nil { // a prompt would attach to a stopped agent, and print nothing
		return err
	}
	conn, err := dialControl(ctx, dir)
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

func dialControl(ctx context.Context, dir string) (*net.UnixConn, error) {
	path := controlSocket(dir)
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if errors.Is(err, unix.EAGAIN) { // nobody accepts the waiting connections
		return nil, silent(0)
	}
	if err != nil {
		return nil, fail.Wrap(fail.NotFound, err, "the agent is not running").Hint("it starts with the next: tbx enter or tbx run")
	}
	if err := privateDir(filepath.Dir(path)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// AskStatus asks a running agent about itself. fail.NotFound: there is none.
// fail.Unable: it does not answer within orderLimit.
func AskStatus(ctx context.Context, dir string) (Status, error) {
	var out report
	if err := call(ctx, dir, order{Op: "status"}, &out); err != nil {
		return Status{}, err
	}
	if out.Status == nil {
		return Status{}, fail.New(fail.Unable, "the agent of the bridge gave an answer without a status")
	}
	return *out.Status, nil
}

// call gives the agent an order and waits for its report until ctx ends, at most
// orderLimit.
func call(ctx context.Context, dir string, o order, out *report) error {
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	conn, err := dialControl(ctx, dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if err = json.NewEncoder(conn).Encode(o); err == nil || errors.Is(err, unix.EPIPE) {
		err = json.NewDecoder(io.LimitReader(conn, maxOrder)).Decode(out)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return silent(listenerOf(conn))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return fail.Wrap(fail.NotFound, err, "the agent has just ended")
	case err != nil:
		return fail.Wrap(nil, err, "the agent gave no answer")
	case out.Error != "":
		return errors.New(out.Error)
	}
	return nil
}

// silent is the error for an agent that does not answer; pid is its process, or 0.
func silent(pid int) error {
	if pid <= 0 {
		return fail.New(fail.Unable, "the agent of the bridge does not answer").
			Hint("see which it is, and whether it is stopped (T), with: ps -o pid,stat,args -C tbx")
	}
	who := "the agent of the bridge, process " + strconv.Itoa(pid) + ","
	if isStopped(pid) {
		return fail.New(fail.Unable, "%s is stopped and does not answer", who).Hint("let it go on with: kill -CONT %d", pid)
	}
	return fail.New(fail.Unable, "%s does not answer", who).
		Hint("end it, and the next tbx enter starts another: kill -KILL %d", pid).
		Hint("host commands that run go on")
}

// listenerOf returns the process that listens at the other end, or 0.
func listenerOf(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// isStopped looks at field 3 of /proc/PID/stat, proc_pid_stat(5).
func isStopped(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, found := bytes.Cut(stat, []byte(") "))
	return err == nil && found && (rest[0] == 'T' || rest[0] == 't')
}
