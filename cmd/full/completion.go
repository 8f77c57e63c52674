package full

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/completion"
	"github.com/tbx-project/tbx/internal/fail"
)

func newCompletion(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a shell's completion script",
		Long: `Print the completion script of a shell. Packages and make install put it in its place.
By hand:

  tbx completion bash > ~/.local/share/bash-completion/completions/tbx
  tbx completion zsh  > ~/.local/share/zsh/site-functions/_tbx
  tbx completion fish > ~/.config/fish/completions/tbx.fish`,
		Example:   "  tbx completion bash",
		ValidArgs: completion.Shells(),
		Args:      cli.Exactly(1, "the name of a shell: bash, zsh or fish"),
		RunE: func(cmd *cobra.Command, args []string) error {
			script := completion.Script(args[0])
			if script == "" {
				return fail.New(fail.Usage, "there is no completion for %q", args[0]).Hint("there is one for bash, zsh and fish")
			}
			_, err := env.Out.WriteString(script)
			return err
		},
	}
}
