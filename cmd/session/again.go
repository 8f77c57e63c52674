package session

import (
	"io"
	"os"
	"os/exec"
	"slices"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
)

// again returns the arguments for a second run or enter by tbx itself: it enters the
// toolbox name, asks nothing again and leaves the terminal alone. The flag goes right
// behind the subcommand, because the words after that may be the user's command.
func again(args []string, name toolbox.Name) []string {
	for i, a := range args {
		if a == "run" || a == "enter" {
			return slices.Insert(slices.Clone(args), i+1, "--bare="+string(name))
		}
	}
	return args
}

func selfCommand(env *cli.Env, name toolbox.Name) *exec.Cmd {
	self, err := programs.Front()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.Command(self, again(os.Args[1:], name)...)
	cmd.Env = env.Environ
	return cmd
}

// withoutTerminal runs the session in a new terminal session, with pipes instead of
// terminals.
func withoutTerminal(env *cli.Env, name toolbox.Name) error {
	cmd := selfCommand(env, name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.In, env.Out, env.Err
	if cli.IsTerminal(env.In) {
		cmd.Stdin = nil // nobody types for a command without a terminal
	}
	if cli.IsTerminal(env.Out) {
		cmd.Stdout = writer{env.Out}
	}
	if cli.IsTerminal(env.Err) {
		cmd.Stderr = writer{env.Err}
	}
	return toolbox.RunDetached(cmd)
}

// writer hides that a stream is a file, so that the child gets a pipe.
type writer struct{ io.Writer }
