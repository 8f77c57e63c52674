package hostbridge

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/runner"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

// runnerProc is a runner process and the agent's end of its control socket.
type runnerProc struct {
	proc *os.Process
	sock *net.UnixConn
	box  string // id of the toolbox that it has served; it serves no other
}

// startRunner starts a runner that waits for its job. It is the leader of a new session,
// and outlives the agent.
//
// It is started by an open descriptor, so that it also starts if an update of tbx has
// removed the file.
func (a *agent) startRunner() (*runnerProc, error) {
	if a.Settled != nil {
		<-a.Settled
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	mine, its := os.NewFile(uintptr(pair[0]), "runner"), os.NewFile(uintptr(pair[1]), "agent")
	defer its.Close()
	conn, err := net.FileConn(mine)
	mine.Close()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	for len(files) < runner.ControlFd {
		files = append(files, null)
	}
	proc, err := os.StartProcess("/proc/self/fd/"+strconv.Itoa(a.program), a.Runner, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: append(files, its),
		Sys:   &unix.SysProcAttr{Setsid: true},
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &runnerProc{proc: proc, sock: conn.(*net.UnixConn)}, nil
}

// dismiss ends a runner without a job, or collects one that was killed.
func (k *runnerProc) dismiss() {
	k.sock.Close()
	k.proc.Wait()
}

// awaitIdle waits until the runner is ready for another command, true, or has ended,
// false. It waits for a message of the runner, which needs no thread.
func (k *runnerProc) awaitIdle() bool {
	b := make([]byte, wire.HeaderSize)
	n, err := k.sock.Read(b)
	if err != nil || n == 0 {
		return false
	}
	f, err := wire.Parse(b[:n])
	return err == nil && f.Type == wire.TypeIdle
}

// putBack makes a runner the spare one, or dismisses it if there is one.
func (a *agent) putBack(k *runnerProc) {
	select {
	case a.spare <- k:
	default:
		k.dismiss()
	}
}

// prepareRunner starts a spare runner if there is none, so that the next request
// need not wait for a process to start.
func (a *agent) prepareRunner() {
	if len(a.spare) > 0 {
		return
	}
	k, err := a.startRunner()
	if err != nil {
		a.logf("cannot start %s: %v", a.Runner[0], err)
		return
	}
	a.putBack(k)
}

// takeRunner returns the spare runner if it may serve this toolbox, or a new one. Most
// commands end before the start of another spare one begins, and leave theirs, so that
// none competes with them for the processor.
func (a *agent) takeRunner(box string) (*runnerProc, error) {
	a.refill.Reset(refillPause)
	select {
	case k := <-a.spare:
		if k.box == "" || k.box == box {
			k.box = box
			return k, nil
		}
		go k.dismiss()
	default:
	}
	k, err := a.startRunner()
	if err == nil {
		k.box = box
	}
	return k, err
}

// run hands an allowed request to a runner and waits for the end of its command, to log
// it. After the hand-over it does not answer the client any more.
func (r *request) run() error {
	if !r.a.slots.take(r.box.ID, r.a.boxesServed()) {
		return &refusal{code: 125, reason: "too many host commands are running", hint: "end one of them"}
	}
	defer r.a.slots.free(r.box.ID)
	frames, err := r.job().Frames()
	if err != nil {
		return &refusal{code: 126, reason: "the command has more arguments and variables than the bridge allows"}
	}
	seq, err := r.log()
	if err != nil && r.decision.Action == Ask {
		return deny("the audit log cannot be written, and without it only commands run that need no question: "+err.Error(),
			"make room on the disk")
	}
	begun := time.Now()
	k, err := r.handOver(frames)
	if err != nil {
		return &refusal{code: 125, reason: "the host cannot start the process that runs the command: " + err.Error(),
			hint: "see the agent's log in ~/.local/state/tbx"}
	}
	if r.decision.Rule.Notify && r.s.notices.take(begun) {
		go r.tellOwner(Shown(r.start.Argv), r.session.Env)
	}
	// Up to 4 MiB and some descriptors, and the command may run for days.
	r.start, r.argv, r.rec, r.env = nil, nil, AuditEntry{}, environment{}
	r.file.close()
	end := r.outcome(k)
	// The slots are free when nothing of the command's group is left.
	if k.awaitIdle() {
		r.a.putBack(k)
	} else {
		k.dismiss()
	}
	ms := time.Since(begun).Milliseconds()
	end.Event, end.Of, end.Millis = "end", seq, &ms
	end.BoxID, end.Box = r.box.ID, r.box.Name
	r.a.Audit.Write(end)
	return nil
}

// handOver gives the job and the client's connection to a runner, and closes its own end
// of the connection. The spare one may be dead: a toolbox that shares the pid namespace
// can kill it.
func (r *request) handOver(frames []wire.Frame) (*runnerProc, error) {
	for try := 0; ; try++ {
		k, err := r.a.takeRunner(r.box.ID)
		if err != nil {
			return nil, err
		}
		if err = r.sendJob(k, frames); err == nil {
			r.conn.Close()
			return k, nil
		}
		k.dismiss()
		if try == 3 {
			return nil, err
		}
	}
}

func (r *request) sendJob(k *runnerProc, frames []wire.Frame) error {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		fds := []int{int(fd)}
		if r.file != nil {
			fds = append(fds, r.file.fd)
		}
		_, _, sendErr = k.sock.WriteMsgUnix(frames[0].Append(nil), unix.UnixRights(fds...), nil)
	})
	for _, f := range frames[1:] {
		if err == nil && sendErr == nil {
			_, sendErr = k.sock.Write(f.Append(nil))
		}
	}
	return errors.Join(err, sendErr)
}

// outcome reads the runner's report on the command.
func (r *request) outcome(k *runnerProc) AuditEntry {
	buf := make([]byte, wire.HeaderSize+3*wire.MaxText)
	for {
		n, err := k.sock.Read(buf)
		if err != nil || n == 0 {
			return AuditEntry{Reason: "the runner was killed"}
		}
		f, err := wire.Parse(buf[:n])
		if err != nil {
			return AuditEntry{Reason: err.Error()}
		}
		switch f.Type {
		case wire.TypeExit:
			if e, err := wire.ParseExit(f.Body); err == nil {
				code := int(e.Code)
				if e.Signaled {
					return AuditEntry{Signal: code}
				}
				return AuditEntry{Exit: &code}
			}
		case wire.TypeError:
			if e, err := wire.ParseFailure(f.Body); err == nil {
				return AuditEntry{Reason: e.Text}
			}
		}
	}
}

// job is the runner's order.
func (r *request) job() *wire.Job {
	st, rule := r.start, r.decision.Rule
	j := &wire.Job{
		TTY:  st.Flags & (wire.TTYMask | wire.FlagForeground | wire.FlagFile),
		Rows: st.Rows, Cols: st.Cols, Termios: st.Termios,
		Umask: uint32(r.session.Umask),
		Path:  r.program.Real, Argv: r.argv, Env: r.env.env,
		Cwd: r.cwd(), AnyCwd: st.Flags&wire.FlagHostCwd != 0,
	}
	if r.dir != "" {
		j.Cwd, j.Exact = r.dir, true
	}
	if r.verb.build != nil {
		j.Cwd, j.AnyCwd, j.Exact, j.Fallback = r.a.Home, true, false, "/"
	} else if rule.Cwd == "home" {
		j.Fallback = r.a.Home
	}
	if r.file != nil {
		j.File = r.file.path
	}
	if r.detached() {
		j.TTY |= wire.FlagDetach
	}
	if (r.detached() || rule.TTY == "never") && j.TTY&wire.TTYMask != 0 {
		j.TTY |= wire.NoPty
	}
	return j
}

// noticeLimit is the longest time for the desktop to show a notification: it may be
// stopped.
const noticeLimit = 10 * time.Second

// tellOwner shows a notification on the host's desktop, if there is one.
func (r *request) tellOwner(what string, env []string) {
	argv, err := notify(verbCall{args: []string{"a host command was run", what[:min(maxNotice, len(what))]}, box: r.box, path: r.a.Path})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.WaitDelay = env, time.Second
	cmd.Run()
}
