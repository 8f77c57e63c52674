package cmd

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"github.com/tbx-project/tbx/toolbox"
)

func execve(path string, args, env []string) error { return syscall.Exec(path, args, env) }

// again returns the arguments of a run or enter for a second call by tbx itself,
// which shall do nothing for the terminal any more. The flag goes right behind
// the subcommand: what follows may be the user's command.
func again(args []string) []string {
	for i, a := range args {
		if a == "run" || a == "enter" {
			return slices.Insert(slices.Clone(args), i+1, "--bare")
		}
	}
	return args
}

func selfCommand(env *Env) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.Command(self, again(os.Args[1:])...)
	cmd.Env = env.Environ
	return cmd
}

// withoutTerminal runs the session in a terminal session of its own, with pipes
// in place of what is a terminal.
func withoutTerminal(env *Env) error {
	cmd := selfCommand(env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.In, env.Out, env.Err
	if isTerminal(env.In) {
		cmd.Stdin = nil // nobody types for a command without a terminal
	}
	if isTerminal(env.Out) {
		cmd.Stdout = writer{env.Out}
	}
	if isTerminal(env.Err) {
		cmd.Stderr = writer{env.Err}
	}
	return ended(cmd.Run())
}

// writer hides that it is a file, so that the child gets a pipe.
type writer struct{ io.Writer }

// ended turns how a child ended into what tbx ends with.
func ended(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return &toolbox.ExitError{Code: 128 + int(st.Signal())}
	}
	return &toolbox.ExitError{Code: exit.ExitCode()}
}
