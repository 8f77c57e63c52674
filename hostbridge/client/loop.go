package client

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/inherited"
)

// loop passes events between this process and the host, in one thread around one
// poll(2), so that their order is kept.
type loop struct {
	sock    int
	signals int // reading end of a pipe: one byte for each signal
	caught  chan os.Signal
	term    term

	started  bool
	stopped  bool   // the command is stopped, as far as is known here
	resuming bool   // it was told to continue
	asked    bool   // the owner is being asked
	urged    bool   // a signal was sent before the command was known to run
	master   int    // of the command's terminal on the host, or -1
	fg       bool   // the terminal here is read for the command
	input    []byte // read here and not yet taken there
	end      *Result
	patience time.Time // when an answer of the host is due, if one is
}

// answerLimit is the longest time for an answer of the agent. It takes milliseconds; a
// stopped one never answers.
const answerLimit = 15 * time.Second

// forwarded are the signals that go to the command instead of this process.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGWINCH}

// catchSignals turns signals into bytes that poll can wait for. A signal that
// was ignored from the start (nohup) stays ignored.
func (l *loop) catchSignals() {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		l.signals = -1
		return
	}
	l.signals = p[0]
	l.caught = make(chan os.Signal, 64)
	inherited.Notify(l.caught, forwarded...)
	go func() {
		for sig := range l.caught {
			unix.Write(p[1], []byte{byte(sig.(syscall.Signal))})
		}
	}()
}

// run handles a request after it was sent.
func (l *loop) run() Result {
	buf := wire.RecvBuffer()
	l.wait(0)
	for {
		if l.end != nil && l.master < 0 {
			return *l.end
		}
		fds := []unix.PollFd{{Fd: -1}, {Fd: int32(l.signals), Events: unix.POLLIN}, {Fd: -1}, {Fd: -1}}
		if l.end == nil {
			fds[0] = unix.PollFd{Fd: int32(l.sock), Events: unix.POLLIN}
		}
		if l.master >= 0 {
			fds[2] = unix.PollFd{Fd: int32(l.master), Events: unix.POLLIN}
			if len(l.input) > 0 {
				fds[2].Events |= unix.POLLOUT
			} else if l.fg && !l.stopped && l.end == nil {
				fds[3] = unix.PollFd{Fd: int32(l.term.fd), Events: unix.POLLIN}
			}
		}
		if n, err := l.poll(fds); err != nil {
			return failed("poll: "+err.Error(), "")
		} else if n == 0 && l.end == nil && !l.started {
			return failed("the host does not answer", "look at its agent, on the host: tbx agent")
		}
		if fds[2].Revents&unix.POLLOUT != 0 {
			l.writeInput()
		}
		if (fds[2].Revents&(unix.POLLIN|unix.POLLHUP|unix.POLLERR) != 0 || l.end != nil) && !l.copyOutput(buf) {
			return Result{Signal: int(syscall.SIGHUP)} // the terminal here is gone
		}
		if fds[1].Revents&unix.POLLIN != 0 {
			l.onSignals()
		}
		if fds[0].Revents != 0 {
			l.onFrame(buf)
		}
		if fds[3].Revents != 0 {
			l.readInput()
		}
	}
}

// poll waits for the next event. After the command's end it does not wait; before its
// start it waits until patience and then returns 0. A running command may take any time.
func (l *loop) poll(fds []unix.PollFd) (int, error) {
	switch {
	case l.end != nil:
		return eintr.Ready(fds)
	case !l.started:
		return eintr.Within(fds, time.Until(l.patience))
	}
	return eintr.Await(fds)
}

// wait sets the time limit for the host's answer, with a reserve for a busy machine.
func (l *loop) wait(limit time.Duration) { l.patience = time.Now().Add(limit + answerLimit) }

// copyOutput copies the command's output to the terminal here. After the command's end
// it reads until EAGAIN (nothing is left: the kernel delivers what is on its way first,
// n_tty_read) or EIO (nothing is left, and nobody has the terminal open). A process that
// the command left behind may keep the terminal open; it is not waited for.
func (l *loop) copyOutput(buf []byte) bool {
	n, err := unix.Read(l.master, buf)
	if err == unix.EINTR || err == unix.EAGAIN && l.end == nil {
		return true
	}
	if n <= 0 {
		unix.Close(l.master)
		l.master = -1
		return true
	}
	for b := buf[:n]; len(b) > 0; {
		n, err := unix.Write(l.term.out, b)
		switch {
		case err == unix.EAGAIN: // somebody has made the terminal non-blocking
			eintr.Await([]unix.PollFd{{Fd: int32(l.term.out), Events: unix.POLLOUT}})
		case err == unix.EINTR:
		case err != nil:
			return false
		default:
			b = b[n:]
		}
	}
	return true
}

func (l *loop) readInput() {
	buf := make([]byte, 4096)
	n, err := unix.Read(l.term.fd, buf)
	if n > 0 {
		l.input = buf[:n]
		l.term.noteKeys(l.input)
	} else if err != unix.EAGAIN && err != unix.EINTR {
		l.fg = false // hung up: the signal follows
	}
}

func (l *loop) writeInput() {
	n, err := unix.Write(l.master, l.input)
	if err == nil {
		l.input = l.input[n:]
	} else if err != unix.EAGAIN && err != unix.EINTR {
		l.input = nil
	}
}

func (l *loop) onFrame(buf []byte) {
	f, fds, err := wire.Recv(l.sock, buf)
	if err == nil && (len(fds) > 1 || len(fds) == 1 && f.Type != wire.TypeStarted) {
		wire.CloseAll(fds)
		l.finish(failed("the host sent something unexpected", ""))
		return
	}
	if err != nil {
		l.finish(failed("the connection to the host broke, so the result of the command is not known", "look at: tbx audit"))
		return
	}
	switch f.Type {
	case wire.TypePending:
		told := l.asked
		l.asked = true
		if n, err := f.Number(); err == nil {
			l.wait(time.Duration(n) * time.Second)
			if !told {
				os.Stderr.WriteString("tbx: waiting for an answer on the host, at most " + seconds(n) + "\n")
			}
		}
	case wire.TypeDenied:
		d, _ := wire.ParseDenied(f.Body)
		if d.Rule != "" {
			d.Reason += " (" + d.Rule + ")"
		}
		l.finish(Result{Code: 126, Message: d.Reason, Hint: d.Hint})
	case wire.TypeError:
		e, err := wire.ParseFailure(f.Body)
		if err != nil {
			e = wire.Failure{Code: 125, Text: "the host reported a failure that cannot be read"}
		}
		l.finish(Result{Code: int(e.Code), Message: e.Text, Hint: e.Hint})
	case wire.TypeStarted:
		l.onStarted(fds)
	case wire.TypeStopped:
		if sig, err := f.Number(); err == nil {
			l.onStopped(syscall.Signal(sig))
		}
	case wire.TypeContinued:
		l.stopped, l.resuming = false, false
	case wire.TypeExit:
		e, err := wire.ParseExit(f.Body)
		switch {
		case err != nil:
			l.finish(failed("the host reported an end that cannot be read", ""))
		case e.Signaled:
			sig := syscall.Signal(e.Code)
			l.finish(Result{Signal: int(e.Code), job: sig == l.term.key && sig != 0})
		default:
			l.finish(Result{Code: int(e.Code)})
		}
	}
}

// finish notes the end. Output that is on its way comes first.
func (l *loop) finish(r Result) {
	l.end = &r
	l.input = nil
}

func (l *loop) onStarted(fds []int) {
	l.started = true
	if len(fds) == 0 {
		l.fg = false
		return
	}
	l.master = fds[0]
	unix.SetNonblock(l.master, true)
	if l.fg {
		l.term.setRaw()
	}
	l.resize() // the size may have changed meanwhile
}

func (l *loop) resize() {
	if l.term.fd >= 0 && l.master >= 0 {
		l.term.readSize()
		unix.IoctlSetWinsize(l.master, unix.TIOCSWINSZ, &l.term.size)
	}
}

func (l *loop) onSignals() {
	var b [64]byte
	n, _ := unix.Read(l.signals, b[:])
	for _, c := range b[:max(n, 0)] {
		switch sig := syscall.Signal(c); {
		case sig == syscall.SIGWINCH:
			l.resize()
		case sig == syscall.SIGTSTP && !l.started:
			l.stopSelf(sig)
		case !l.started && sig == syscall.SIGCONT:
		case !l.started && (l.asked || l.urged):
			l.finish(Result{Signal: int(sig)}) // the host ends the command, if it has started
		case !l.started: // STARTED has not arrived, but the command may run already
			l.urged = true
			l.send(sig, 0)
		case sig == syscall.SIGCONT:
			l.onContinued()
		default:
			l.send(sig, 0)
		}
	}
}

func (l *loop) send(sig syscall.Signal, flags uint16) {
	wire.Send(l.sock, wire.Uint32(wire.TypeSignal, flags, uint32(sig)))
}

// onStopped handles a stopped command. If the command wants to read the terminal and
// this process has it, the command gets it; else this process stops too, with its whole
// job, and its shell takes over.
func (l *loop) onStopped(sig syscall.Signal) {
	l.stopped, l.resuming = true, false
	wants := sig == syscall.SIGTTIN || sig == syscall.SIGTTOU
	if wants && !l.fg && l.master >= 0 && l.term.foreground() {
		l.setForeground(true)
		return
	}
	l.term.restore()
	l.stopSelf(sig)
	l.resume()
}

// stopSelf stops this process's job as the command was stopped. It returns when
// the job is continued, or at once if nobody could continue it.
func (l *loop) stopSelf(sig syscall.Signal) {
	was := setDefault(sig)
	unix.Kill(0, sig)
	// If the stop comes, it comes before the end of this pause: the kernel does not stop
	// a process group without a shell.
	eintr.Sleep(20 * time.Millisecond)
	unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&was)), 0, 8, 0, 0)
}

// onContinued is called for each SIGCONT, also for the one that ended stopSelf. It must
// not continue a command twice: the command may have been stopped again meanwhile, and
// that stop would be lost.
func (l *loop) onContinued() {
	switch {
	case l.stopped && !l.resuming, l.fg && !l.term.foreground():
		l.resume()
	case l.fg:
		l.term.raw = false // whoever had the terminal meanwhile may have changed it
		l.term.setRaw()
		l.resize()
	}
}

// resume continues the command after this process was continued.
func (l *loop) resume() {
	l.resize()
	l.setForeground(l.master >= 0 && l.term.whole() && l.term.foreground())
}

// setForeground starts or ends reading the terminal here for the command, and
// continues it.
func (l *loop) setForeground(on bool) {
	l.fg, l.resuming = on, true
	var flags uint16
	if on {
		l.term.adopt(l.master)
		l.term.setRaw()
		flags = wire.FlagForeground
	} else {
		l.term.restore()
	}
	if l.master >= 0 {
		l.term.hostProcessing(l.master, on)
	}
	l.send(syscall.SIGCONT, flags)
}

// sigaction has room for that of any kernel; all zero is the default action.
type sigaction [8]uintptr

// setDefault gives a signal its default action and returns the old one. The Go
// runtime keeps its handler once it has one, and signal.Reset makes a stop
// signal do nothing.
func setDefault(sig syscall.Signal) (was sigaction) {
	var action sigaction
	unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), uintptr(unsafe.Pointer(&was)), 8, 0, 0)
	return was
}

// dieOf kills this process by a signal, or its whole job.
func dieOf(sig syscall.Signal, job bool) {
	setDefault(sig)
	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
	if job {
		unix.Kill(0, sig)
	}
	unix.Kill(unix.Getpid(), sig)
	eintr.Sleep(50 * time.Millisecond)
}
