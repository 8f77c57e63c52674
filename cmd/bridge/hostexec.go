package bridge

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
)

// NewHostExec exists for the help; inside a toolbox callHost has taken over before.
func NewHostExec(env *cli.Env) *cobra.Command {
	var cwd string
	var vars []string
	var detach, verb bool
	cmd := &cobra.Command{
		Use:   "host-exec [flags] [--] COMMAND [ARG...]",
		Short: "Inside a toolbox: run a command on the host",
		Long: `Run a command on the host from inside a toolbox, as if it were called there: with your
terminal, your signals and its exit code. Its directory is the one where you are, if the
host has the same one; otherwise name a directory with --cwd.

The policy on the host decides whether the command may run, see tbx policy. Calls are
logged, see tbx audit. The command gets the environment of the host's session from which
the toolbox was entered, and from the toolbox only TERM, COLORTERM, LANG, LC_*, NO_COLOR
and TZ.

With --verb, COMMAND is an operation that the host does for a toolbox: open-url, open-file,
notify, clipboard (copy or paste), host-status, host-upgrade, toolbox-list, terminal.

Host commands can also be called by their name alone, see tbx shim.

The exit code is the command's own; if a signal ended the command, the same signal ends
tbx. 127: there is no such command. 126: it is denied, or cannot be run. 125: the bridge
failed.`,
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
	f.BoolVar(&detach, "detach", false, "keep the command running when the caller ends, which the policy must allow")
	f.BoolVar(&verb, "verb", false, "COMMAND is a verb")
	cmd.RegisterFlagCompletionFunc("cwd", cli.Directories)
	cmd.RegisterFlagCompletionFunc("env", env.CompleteVariables)
	cli.AsSession(env, cmd)
	return cmd
}
