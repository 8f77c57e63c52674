//go:build !front

package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

func newAgent(env *Env) *cobra.Command {
	var serve, prompt bool
	cmd := &cobra.Command{
		Use:   "agent [flags]",
		Short: "See the bridge's agent, or answer its questions",
		Long: `See the agent that runs host commands for toolboxes. It starts by itself with
tbx enter and tbx run, and ends a minute after the last toolbox.

With --prompt, the questions of toolboxes whose rules say "ask" are put here, in
this terminal on the host, until Ctrl-C. Without one, they are put as desktop
notifications, and where there is no desktop the answer is no.`,
		Example:           "  tbx agent\n  tbx agent --prompt",
		Args:              exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if serve {
				return serveBridge(cmd.Context(), env)
			}
			h, err := env.Host()
			if err != nil {
				return err
			}
			if prompt {
				if !isTerminal(env.In) || !isTerminal(env.Err) {
					return fail.New(fail.NeedAnswer, "there is no terminal to ask on")
				}
				fmt.Fprintln(env.Err, "tbx: questions of toolboxes are put here; end with Ctrl-C")
				return hostbridge.Prompt(cmd.Context(), bridgeDir(h), env.answer)
			}
			st, err := hostbridge.AskStatus(bridgeDir(h))
			if err != nil {
				return err
			}
			fmt.Fprintf(env.Out, "process %d, %d host commands running, toolboxes: %s\n", st.Pid, st.Running, escape.Text(strings.Join(st.Boxes, " ")))
			return nil
		},
	}
	cmd.Flags().BoolVar(&prompt, "prompt", false, "put the questions of toolboxes in this terminal")
	cmd.Flags().BoolVar(&serve, "serve", false, "")
	cmd.Flags().MarkHidden("serve")
	return cmd
}

// answer puts a question of the bridge; its texts are safe to print.
func (e *Env) answer(q hostbridge.Question) bool {
	fmt.Fprintf(e.Err, "\nToolbox %s asks to run this on the host (%s):\n\n    %s\n\nAllow it? [y/N] ", q.Box, q.Rule, q.What)
	return e.saysYes()
}
