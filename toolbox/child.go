package toolbox

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/inherited"
)

// RunDetached runs a session in a new terminal session, away from the caller's terminal.
// It passes on the caller's signals, those from that terminal too.
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

// RunAndStay runs a session on the caller's terminal, in the caller's job, and waits for
// it. Signals from the terminal reach both, and the session decides; signals from others
// are passed on. Stopping the job stops both.
func RunAndStay(cmd *exec.Cmd) error {
	typed := catch(unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(typed)
	others := catch(unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(others)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		for s := range typed {
			if !inForeground() { // else the terminal, which sends it to the whole job
				cmd.Process.Signal(s)
			}
		}
	}()
	go func() {
		for s := range others {
			cmd.Process.Signal(s)
		}
	}()
	return ended(cmd.Wait())
}

// inForeground reports whether this process is in the terminal's foreground job.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// catch begins to collect signals. A signal that the caller ignores stays ignored.
func catch(wanted ...os.Signal) chan os.Signal {
	signals := make(chan os.Signal, 8)
	inherited.Notify(signals, wanted...)
	return signals
}

// passOn passes the signals on to a process group.
func passOn(signals <-chan os.Signal, group int) {
	for s := range signals {
		unix.Kill(-group, s.(syscall.Signal))
	}
}

// ended turns the end of a session into the end of its caller.
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
