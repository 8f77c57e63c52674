package runner

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// allowed are the signals that a client may send: those of a terminal or a shell. SIGKILL
// is not among them: a killed client is gone, and its command is then ended in steps.
func allowed(sig uint32) bool {
	switch syscall.Signal(sig) {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH:
		return true
	}
	return false
}

// listen obeys the client until it disconnects, and then ends the command. It passes on
// hang-up and termination of the runner itself.
func (k *runner) listen() {
	own := make(chan os.Signal, 4)
	if !k.detach { // its runner ends with its command, and passes signals on until then
		defer close(own)
		defer signal.Stop(own)
	}
	signal.Notify(own, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for sig := range own {
			k.signal(sig.(syscall.Signal))
			k.signal(syscall.SIGCONT)
		}
	}()
	for {
		f, fds, err := wire.Recv(k.conn, k.buf)
		if errors.Is(err, io.EOF) {
			break
		}
		var sig uint32
		if err == nil {
			sig, err = f.Number()
		}
		if len(fds) != 0 || f.Type != wire.TypeSignal || err != nil || !allowed(sig) {
			go wire.CloseAll(fds)
			wire.Send(k.conn, wire.Failure{Code: 125, Text: "unexpected frame, or a signal that may not be sent"}.Frame())
			break
		}
		if syscall.Signal(sig) == syscall.SIGCONT {
			k.foreground(f.Flags&wire.FlagForeground != 0)
		}
		k.signal(syscall.Signal(sig))
		if syscall.Signal(sig) == syscall.SIGCONT {
			// Until then this signal would cancel a stop signal.
			wire.Send(k.conn, wire.Frame{Type: wire.TypeContinued})
		}
	}
	if !k.detach {
		k.end()
	}
}

// foreground gives the terminal's foreground to the command or takes it away. A process
// that reads the terminal from the background stops with SIGTTIN, which tells the client
// to read the terminal in the toolbox.
func (k *runner) foreground(command bool) {
	if k.slave < 0 {
		return
	}
	pgrp := k.pid
	if !command {
		pgrp = unix.Getpgrp()
	}
	unix.IoctlSetPointerInt(k.slave, unix.TIOCSPGRP, pgrp) // fails if the command has ended, or the terminal is none
}

// signal sends sig to the command's process group, if the command is there.
func (k *runner) signal(sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reaped {
		unix.Kill(-k.pid, sig)
	}
}

// end ends the command after the client is gone: hang-up, termination, kill, with a
// pause after each, until no process of the command's group is left. Then it exits,
// unless there was nothing to end.
func (k *runner) end() {
	k.mu.Lock()
	clean := k.clean
	k.ending = !clean
	k.mu.Unlock()
	if clean {
		return
	}
	for _, step := range []struct {
		sig   syscall.Signal
		grace time.Duration
	}{{syscall.SIGHUP, graceHangup}, {syscall.SIGTERM, graceTerm}, {syscall.SIGKILL, graceTerm}} {
		if !k.signalGroup(step.sig) {
			break
		}
		for waited := time.Duration(0); waited < step.grace && k.signalGroup(0); waited += 50 * time.Millisecond {
			time.Sleep(50 * time.Millisecond)
		}
	}
	os.Exit(0)
}

// signalGroup sends sig to the rest of the command's group and reports whether there was
// any. Those processes are children of this one, and a child that is not reaped keeps
// the number of the group from being used again.
func (k *runner) signalGroup(sig syscall.Signal) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.reaped {
		pid, err := unix.Wait4(-k.pid, nil, unix.WNOHANG, nil)
		if err != nil && err != unix.EINTR {
			return false
		}
		if pid == 0 {
			break
		}
	}
	if sig != 0 {
		unix.Kill(-k.pid, sig)
		unix.Kill(-k.pid, syscall.SIGCONT)
	}
	return true
}
