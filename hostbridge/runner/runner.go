// Package runner runs allowed commands on the host: `tbx-box runner`, started by
// the agent ahead of need, one command at a time. It takes over the client's
// connection, so that from then on the agent is needed no more: a command
// survives the agent's death with its terminal, signals and exit code, and ends
// with the client, whichever of them is killed. A runner whose command has ended
// and left nothing behind runs the next one, which saves the start of a process.
//
// Descriptors from a toolbox are received here and never by the agent, because
// closing one may block for as long as a hostile FUSE server likes. The runner
// decides nothing: whether and what to run is in the job. It must stay small
// (it is linked into tbx-box): standard library and x/sys, no fmt.
package runner

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
)

// ControlFd is the descriptor on which the agent hands over the job.
const ControlFd = 3

const (
	fdsDeadline = 5 * time.Second // for the client to send its descriptors
	graceHangup = 5 * time.Second // from SIGHUP to SIGTERM after the client is gone
	graceTerm   = 5 * time.Second // from SIGTERM to SIGKILL
)

// runner is the state of one command.
type runner struct {
	control int           // the agent; errors are ignored, it may be dead
	conn    int           // the client
	file    int           // that was decided about, or -1
	slave   int           // of the pty, or -1
	buf     []byte        // for packets
	letGone chan struct{} // closed when this process has none of the command's descriptors any more

	mu     sync.Mutex // guards reaped: nobody signals a process id that is free again
	pid    int        // of the command, its process group too
	reaped bool
	ending bool // the client is gone, end exits the process
	clean  bool // the command was reaped and has left no process behind
	detach bool
}

// Main runs the jobs that come on ControlFd and returns the process's exit code.
// It changes the process's signal handling and never restores it.
func Main() int {
	runtime.LockOSThread() // the parent-death signal of the command is the thread's
	resetSignals()
	os.WriteFile("/proc/self/comm", []byte("tbx-box"), 0) // else the number of the descriptor that it was started by
	unix.CloseOnExec(ControlFd)
	for buf := wire.RecvBuffer(); ; {
		job, conn, file, err := receiveJob(buf)
		if err != nil {
			return 0 // the agent ended, or wants no spare runner any more
		}
		k := &runner{control: ControlFd, conn: conn, file: file, slave: -1, buf: buf, letGone: make(chan struct{}),
			detach: job.TTY&wire.FlagDetach != 0}
		if !k.run(job) {
			return 0
		}
		if wire.Send(ControlFd, wire.Frame{Type: wire.TypeIdle}) != nil {
			return 0
		}
	}
}

// run runs one command. It reports whether this process can run another.
func (k *runner) run(job *wire.Job) bool {
	if failure := k.start(job); failure != nil {
		k.tell(failure.Frame())
		return false
	}
	heard := make(chan struct{})
	go func() {
		k.listen()
		close(heard)
	}()
	if k.wait() {
		select {}
	}
	if !k.clean || k.slave >= 0 || k.detach {
		return false
	}
	unix.Shutdown(k.conn, unix.SHUT_RD) // ends listen
	<-heard
	<-k.letGone
	unix.Close(k.conn)
	return unix.Chdir("/") == nil // the directory of the last command can be unmounted
}

// resetSignals undoes what the agent may have inherited, such as the ignored
// SIGINT of a script's background process: a caught signal is back at its
// default in a new program, an ignored one stays ignored.
func resetSignals() {
	signal.Notify(make(chan os.Signal, 1))
	// The two that libcs keep for themselves and Go does not touch: glibc's
	// posix_spawn(3), by which make(1) starts its commands, leaves them ignored.
	for _, sig := range []uintptr{32, 33} {
		var def [4]uint64 // struct sigaction of the kernel, all zero: SIG_DFL
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&def)), 0, 8, 0, 0)
	}
	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
}

// receiveJob reads the job, the client's connection and the file that the job is
// about, if there is one.
func receiveJob(buf []byte) (job *wire.Job, conn, file int, err error) {
	conn, file = -1, -1
	var body []byte
	for {
		f, fds, err := wire.Recv(ControlFd, buf)
		if err != nil {
			return nil, -1, -1, err
		}
		if len(fds) > 0 && conn < 0 {
			conn = fds[0]
		}
		if len(fds) > 1 && file < 0 {
			file = fds[1]
		}
		body = append(body, f.Body...)
		if f.Flags&wire.FlagMore == 0 {
			break
		}
	}
	if conn < 0 {
		return nil, -1, -1, errors.New("no connection came with the job")
	}
	job, err = wire.ParseJob(body)
	return job, conn, file, err
}

// tell sends a frame to the client and a copy to the agent, for its log.
func (k *runner) tell(f wire.Frame, fds ...int) {
	wire.Send(k.conn, f, fds...)
	wire.Send(k.control, f)
}

// start takes the client's descriptors and starts the command.
func (k *runner) start(job *wire.Job) *wire.Failure {
	unix.SetNonblock(k.conn, false)
	fds, failure := k.receiveFds(job)
	if failure != nil {
		return failure
	}
	if failure := enterDirectory(job, fds[3]); failure != nil {
		return failure
	}
	if job.TTY&wire.FlagFile != 0 {
		failure := sameFile(job.File, fds[4], k.file)
		unix.Close(k.file)
		if failure != nil {
			return failure
		}
		job.Argv[len(job.Argv)-1] = job.File
	}
	stdio, master := []int{fds[0], fds[1], fds[2]}, -1
	if tty := job.TTY & wire.TTYMask; tty != 0 {
		var err error
		if job.TTY&wire.NoPty != 0 {
			k.slave, err = eintr.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		} else {
			master, k.slave, err = openPty(job)
		}
		if err != nil {
			return &wire.Failure{Code: 125, Text: "the host cannot open a terminal for the command: " + err.Error()}
		}
		stdio = substitute(stdio, tty, k.slave)
	}
	if err := takeStdio(stdio, fds); err != nil {
		return &wire.Failure{Code: 125, Text: "the descriptors of the request cannot be used: " + err.Error()}
	}
	unix.Umask(int(job.Umask))
	if err := k.spawn(job, master >= 0); err != nil {
		return spawnFailure(job.Path, err)
	}
	go func() {
		letGo()
		close(k.letGone)
	}()
	started := wire.Uint32(wire.TypeStarted, 0, uint32(k.pid))
	if master >= 0 {
		k.tell(started, master)
		unix.Close(master)
	} else {
		k.tell(started)
	}
	return nil
}

func (k *runner) receiveFds(job *wire.Job) ([]int, *wire.Failure) {
	limit := unix.NsecToTimeval(fdsDeadline.Nanoseconds())
	unix.SetsockoptTimeval(k.conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	f, fds, err := wire.Recv(k.conn, k.buf)
	unix.SetsockoptTimeval(k.conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{})
	if err != nil {
		return nil, &wire.Failure{Code: 125, Text: "the descriptors of the request did not arrive: " + err.Error()}
	}
	want := 4
	if job.TTY&wire.FlagFile != 0 {
		want = 5
	}
	if f.Type != wire.TypeFds || len(f.Body) != 0 || len(fds) != want {
		go wire.CloseAll(fds)
		return nil, &wire.Failure{Code: 125, Text: "the request did not come with its descriptors"}
	}
	return fds, nil
}

// takeStdio makes stdio this process's own 0, 1 and 2, which the command then
// inherits, and closes what was received. Closing may block (see the package
// comment): here that stalls this process alone. In execve(2), where a new
// program's descriptors are closed, the kernel would hold a lock meanwhile that
// ps(1) waits for, for every process of the machine.
func takeStdio(stdio, received []int) error {
	for i, fd := range stdio {
		if err := unix.Dup3(fd, i, unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	wire.CloseAll(received)
	return nil
}

// letGo closes this process's copies of the command's descriptors, so that the other
// ends of pipes see the command alone.
func letGo() {
	null, err := eintr.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		os.Exit(0) // rather than to keep a pipe open; the command gets a hang-up
	}
	for i := range 3 {
		unix.Dup3(null, i, unix.O_CLOEXEC)
	}
	unix.Close(null)
}

// spawn starts the command as the leader of a process group of its own. It is
// no session leader: a stop signal does nothing to a group whose parent is of
// another session, and Ctrl-Z shall work.
func (k *runner) spawn(job *wire.Job, pty bool) error {
	// Orphans of the command become children of the runner, so that their
	// process group cannot be taken for another while it is being ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	sys := &syscall.SysProcAttr{Setpgid: true}
	if !k.detach {
		sys.Pdeathsig = syscall.SIGHUP
	}
	if pty && job.TTY&wire.FlagForeground != 0 {
		sys.Foreground, sys.Ctty = true, k.slave
	}
	pid, err := syscall.ForkExec(job.Path, job.Argv, &syscall.ProcAttr{
		Env:   job.Env,
		Files: []uintptr{0, 1, 2},
		Sys:   sys,
	})
	k.pid = pid
	if pty {
		// From here on the runner hands the terminal's foreground to and fro,
		// which the kernel grants to a background process only if it ignores these.
		signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN)
	}
	return err
}

// spawnFailure follows the shells: 127 not found, 126 found but not runnable.
func spawnFailure(path string, err error) *wire.Failure {
	switch {
	case errors.Is(err, unix.ENOENT):
		return &wire.Failure{Code: 127, Text: path + ": not found on the host, or its interpreter is not"}
	case errors.Is(err, unix.ENOEXEC):
		return &wire.Failure{Code: 126, Text: path + ": the host cannot run this format of program"}
	case errors.Is(err, unix.E2BIG):
		return &wire.Failure{Code: 126, Text: path + ": more arguments and variables than the host's kernel allows"}
	}
	return &wire.Failure{Code: 126, Text: path + ": " + err.Error()}
}

// wait reports changes of the command until it ends. ending: the rest of its process
// group is being ended too.
func (k *runner) wait() (ending bool) {
	for {
		// Wait without reaping, reap under the lock: while the lock is held,
		// a process that is not reaped keeps its number.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != nil && err != unix.EINTR {
			return false
		}
		if ended, ending := k.reap(); ended {
			return ending
		}
	}
}

// reap collects status changes. ended: the command has ended. ending: the rest of its
// process group is being ended.
func (k *runner) reap() (ended, ending bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case k.reaped && (err != nil || pid == 0):
			k.clean = err == unix.ECHILD
			return true, k.ending
		case err != nil || pid == 0:
			return false, false
		case pid != k.pid: // an orphan of the command
		case ws.Stopped():
			wire.Send(k.conn, wire.Uint32(wire.TypeStopped, 0, uint32(ws.StopSignal())))
		default:
			k.reaped = true
			exit := wire.Exit{Code: uint32(ws.ExitStatus())}
			if ws.Signaled() {
				exit = wire.Exit{Signaled: true, Core: ws.CoreDump(), Code: uint32(ws.Signal())}
			}
			k.tell(exit.Frame())
		}
	}
}
