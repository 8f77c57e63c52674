package stage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Session stands beside an interactive session on the host, for the terminal's
// sake: it writes args[0] before the session and args[1] after it, however that
// ends, and runs the command args[2:] between. It adds nothing to the session:
// terminal, process group and signals are the command's, and its exit status or
// death by signal becomes Session's own.
func Session(args []string) int {
	if len(args) < 3 {
		return 125
	}
	before, after := args[0], args[1]
	// Caught, not ignored: what is ignored would be ignored in the command too.
	// The terminal sends these to the whole group, so the command has its own.
	discard := make(chan os.Signal, 8)
	signal.Notify(discard, unix.SIGINT, unix.SIGQUIT)
	forward := make(chan os.Signal, 8)
	signal.Notify(forward, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)

	io.WriteString(os.Stdout, before)
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		io.WriteString(os.Stdout, after)
		fmt.Fprintf(os.Stderr, "tbx: %s cannot be run: %v\n", args[2], err)
		return 125
	}
	// The command has its signals now. With a handler for this one, which Go
	// installs to restart calls, taking the terminal from the background would be
	// tried for ever.
	signal.Ignore(unix.SIGTTOU)
	child := cmd.Process.Pid
	go func() {
		for s := range forward {
			unix.Kill(child, s.(syscall.Signal))
		}
	}()
	status := wait(child)
	takeTerminal(unix.Getpgrp())
	io.WriteString(os.Stdout, after)
	if status.Signaled() {
		dieBy(status.Signal())
	}
	return status.ExitStatus()
}

// wait returns when the child has ended. When the child stops itself, as by a
// shell's suspend, this process stops too, so that the host's shell gets the
// terminal; when the host's shell continues it, the child gets the terminal back.
func wait(child int) unix.WaitStatus {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(child, &status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 125 << 8
		case status.Stopped():
			group, err := unix.Getpgid(child)
			if err != nil || group == unix.Getpgrp() || wasContinued(child) {
				continue // it stopped the whole job, this process too, and that is over
			}
			takeTerminal(unix.Getpgrp())
			select {
			case <-continued: // an earlier one
			default:
			}
			unix.Kill(unix.Getpid(), unix.SIGSTOP)
			<-continued // a stop may come after the call for it has returned
			takeTerminal(group)
			unix.Kill(-group, unix.SIGCONT)
		default:
			return status
		}
	}
}

// wasContinued says whether the child was continued since it last stopped.
func wasContinued(child int) bool {
	var status unix.WaitStatus
	pid, err := unix.Wait4(child, &status, unix.WCONTINUED|unix.WNOHANG, nil)
	return err == nil && pid == child && status.Continued()
}

// takeTerminal makes group the foreground group of the terminal on standard input.
func takeTerminal(group int) {
	unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, group)
}

// dieBy ends this process by the signal that ended the command. A core dump of
// this process would be of no use to anybody.
func dieBy(sig unix.Signal) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	signal.Reset(sig)
	unix.Kill(unix.Getpid(), sig)
	select {} // the signal arrives at any moment
}
