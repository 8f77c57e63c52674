package session

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// NewRun returns `tbx run`.
func NewRun(env *cli.Env, choose Chooser, maker Maker) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:         "run [flags] [NAME --] COMMAND [ARG...]",
		Annotations: cli.Quietly(),
		Short:       "Run a command in a toolbox",
		Long: `Run one command in a toolbox, in the directory where you are.

The first word after the flags is the command, unless the next word is "--": then the
first word is the toolbox's name, and the command follows. Nothing else makes a word a
name, so a toolbox is never mistaken for a command, nor a command for a toolbox. Write a
"--" before a command whose own first argument is "--".

  tbx run make -j4             make -j4 in the default toolbox
  tbx run build -- make -j4    make -j4 in the toolbox build
  tbx run -c build make -j4    the same, as in Toolbx
  tbx run -- grep -- -x file   grep -- -x file in the default toolbox

If the toolbox does not have the directory where you are, nothing is run: change to a
directory that it shares, or name one of the toolbox with --workdir.

With --ephemeral, tbx makes a toolbox for this command, with any options of tbx create,
and removes it with everything in it when the command ends, in whatever way it ends.

The exit code is the command's own; 128+N when signal N ended it; 127 when the toolbox
has no such command; 126 when it cannot be run; 125 when tbx fails.`,
		Example: `  tbx run uname -a
  tbx run build -- make -j4
  echo hello | tbx run --env LANG=C tr a-z A-Z
  tbx run --workdir / build -- ls
  tbx run --ephemeral --distro debian --isolated --share . make test`,
		Args: func(cmd *cobra.Command, args []string) error { return o.parse(args, cmd.ArgsLenAtDash()) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, env, choose, maker)
		},
	}
	cmd.Flags().SetInterspersed(false) // flags behind the command are the command's
	o.addFlags(cmd, env, maker)
	return cmd
}

// parse splits the words behind the flags. dash is the number of words before a "--" that
// the flag parser removed, which it does only at the front; -1: none.
func (o *options) parse(args []string, dash int) error {
	if dash < 0 && len(args) >= 2 && args[1] == "--" {
		if _, err := toolbox.ParseName(args[0]); err != nil {
			return err
		}
		if o.toolbox != "" && o.toolbox != args[0] {
			return fail.New(fail.Usage, "two toolboxes are named: %s and %s", args[0], o.toolbox)
		}
		o.toolbox, args = args[0], args[2:]
	}
	if len(args) == 0 || args[0] == "" {
		return fail.New(fail.Usage, "tbx run needs a command").Hint("usage: tbx run [flags] [NAME --] COMMAND [ARG...]").
			Hint("for a shell: tbx enter")
	}
	o.args = args
	return nil
}
