package bridge

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
)

// NewHostExec is for the help; inside a toolbox callHost has taken over before.
func NewHostExec(env *cli.Env) *cobra.Command {
	var cwd string
	var vars []string
	var detach, verb bool
	cmd := &cobra.Command{
		Use:   "host-exec [flags] [--] COMMAND [ARG...]",
		Short: "Inside a toolbox: run a command on the host",
		Long: `Inside a toolbox, run a command on the host as if it were called there: with
your terminal, your signals and its exit code. The directory is the one where
you are, if the host has the same; else name one with --cwd.

Whether the command may run is up to the policy on the host, see tbx policy; calls
are written down, see tbx audit. The environment is that of the host's
session from which the toolbox was entered, and of the toolbox's only TERM,
COLORTERM, LANG, LC_*, NO_COLOR and TZ.

With --verb it is no command but something that the host does for a toolbox:
open-url, open-file, notify, clipboard (copy or paste), host-status, host-upgrade,
toolbox-list, terminal.

Host commands can also be called by their name alone, see tbx shim.

The exit code is the command's own, and it dies of the signal that the command
died of. 127 is a command that is not there, 126 one that is denied or cannot
be run, 125 a failure of the bridge.`,
		Example: `  tbx host-exec podman ps
  tbx host-exec --cwd / ls
  tbx host-exec --verb open-url https://example.org`,
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: func(*cobra.Command, []string) error {
			return fail.New(fail.Usage, "this is the host already").Hint("call the command itself; tbx host-exec is for the inside of a toolbox")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVar(&cwd, "cwd", "", "run in this `DIRECTORY` of the host")
	f.StringArrayVar(&vars, "env", nil, "pass the variable `NAME`, which the policy must allow; may be repeated")
	f.BoolVar(&detach, "detach", false, "let the command go on when the caller ends, which the policy must allow")
	f.BoolVar(&verb, "verb", false, "COMMAND is a verb")
	cmd.RegisterFlagCompletionFunc("cwd", cli.Directories)
	cmd.RegisterFlagCompletionFunc("env", env.CompleteVariables)
	cli.AsSession(env, cmd)
	return cmd
}
