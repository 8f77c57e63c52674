package toolbox

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunDetached runs a session in a terminal session of its own, away from the
// caller's terminal. What signals the caller gets, from that terminal too, are
// the session's.
func RunDetached(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	signals := catch(unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	go passOn(signals, cmd.Process.Pid)
	return ended(cmd.Wait())
}

// catch begins to collect signals. What the caller ignores stays ignored.
func catch(wanted ...os.Signal) chan os.Signal {
	signals := make(chan os.Signal, 8)
	for _, s := range wanted {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// passOn gives the signals to a process group.
func passOn(signals <-chan os.Signal, group int) {
	for s := range signals {
		unix.Kill(-group, s.(syscall.Signal))
	}
}

// ended turns how a session ended into what its caller ends with.
func ended(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return &ExitError{Code: 128 + int(st.Signal())}
	}
	return &ExitError{Code: exit.ExitCode()}
}
