package helper

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

// Session stands before an interactive session on the host, for the terminal's sake: it
// writes args[0] before the session and args[1] after it, in whatever way that ends, and
// runs the command args[2:] between. It is for a session that a terminal or sshd started
// itself: at the end of its first process the kernel takes the terminal away, and args[1]
// must be written before. Session passes signals on, and ends with the command's exit
// status or signal.
//
// Below a shell it would be wrong: a shell that is hung up signals the group of the job,
// which would be Session and not the shell inside, and ends before Session could pass
// that on. Use Farewell there.
func Session(args []string) int {
	if len(args) < 3 {
		return 125
	}
	before, after := args[0], args[1]
	// Caught, not ignored: the command would inherit ignored signals. The terminal
	// signals the whole group, so the command gets its own.
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
	child := cmd.Process.Pid
	go func() {
		for s := range forward {
			unix.Kill(child, s.(syscall.Signal))
		}
	}()
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(child, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	// The shell had the terminal; this may be written whoever has it now.
	signal.Ignore(unix.SIGTTOU)
	io.WriteString(os.Stdout, after)
	if status.Signaled() {
		dieBy(status.Signal())
	}
	return status.ExitStatus()
}

// dieBy ends this process by the signal that ended the command. A core dump of this
// process would be useless.
func dieBy(sig unix.Signal) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	signal.Reset(sig)
	unix.Kill(unix.Getpid(), sig)
	select {} // the signal arrives at any moment
}

// Farewell writes args[0] to its standard output, a terminal, when the process whose
// pidfd is descriptor 3 has ended. It is in a group of its own, so that signals to the
// session do not reach it.
func Farewell(args []string) int {
	if len(args) != 1 {
		return 125
	}
	signal.Ignore(unix.SIGTTOU) // it never has the terminal
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: 3, Events: unix.POLLIN}}, -1) // readable: it ended, pidfd_open(2)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			io.WriteString(os.Stdout, args[0])
			return 0
		}
	}
}
