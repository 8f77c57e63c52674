package bridge

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// NewAgent returns `tbx agent`.
func NewAgent(env *cli.Env) *cobra.Command {
	var serve, prompt bool
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "agent [flags]",
		Short: "Show the bridge's agent, or answer its questions",
		Long: `Show the agent that runs host commands for toolboxes. It starts by itself with
tbx enter and tbx run, and ends a minute after the last toolbox.

With --prompt, the agent asks its questions, for rules that say "ask", in this terminal on
the host, until Ctrl-C. Without it, it asks by desktop notifications; without a desktop
the answer is no.`,
		Example:           "  tbx agent\n  tbx agent --prompt",
		Args:              cli.Exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if serve {
				return Serve(cmd.Context(), env)
			}
			h, err := env.Host()
			if err != nil {
				return err
			}
			if prompt {
				if format == cli.JSON {
					return fail.New(fail.Usage, "--prompt and --format json exclude each other")
				}
				if !cli.IsTerminal(env.In) || !cli.IsTerminal(env.Err) {
					return fail.New(fail.NeedAnswer, "there is no terminal to ask on")
				}
				fmt.Fprintln(env.Err, "tbx: questions of toolboxes appear here; end with Ctrl-C")
				return hostbridge.Prompt(cmd.Context(), cli.BridgeDir(h), func(q hostbridge.Question) bool { return answer(env, q) })
			}
			st, err := hostbridge.AskStatus(cmd.Context(), cli.BridgeDir(h))
			if err != nil {
				return err
			}
			boxes := "none"
			if len(st.Boxes) > 0 {
				boxes = strings.Join(st.Boxes, " ")
			}
			st.Boxes = cli.OrEmpty(st.Boxes)
			return env.Print(format, st, func() error {
				_, err := fmt.Fprintf(env.Out, "process %d, %s of the host running, toolboxes: %s\n",
					st.Pid, cli.Plural(st.Running, "command"), escape.Text(boxes))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&prompt, "prompt", false, "ask the questions of toolboxes in this terminal")
	cli.FormatFlag(cmd, &format)
	cmd.Flags().BoolVar(&serve, "serve", false, "")
	cmd.Flags().MarkHidden("serve")
	return cmd
}

// answer asks a question of the bridge, whose texts are safe to print. Input that was
// typed before the question appeared does not count as an answer.
func answer(e *cli.Env, q hostbridge.Question) bool {
	unix.IoctlSetInt(int(e.In.Fd()), unix.TCFLSH, unix.TCIFLUSH)
	fmt.Fprintf(e.Err, "\nToolbox %s asks to run this on the host (%s):\n\n    %s\n\nAllow it %s? [y/N] ",
		q.Box, q.Rule, strings.ReplaceAll(q.Text(), "\n", "\n    "), q.HowLong())
	put := time.Now()
	yes := e.SaysYes()
	if q.TooLate(put) {
		fmt.Fprintln(e.Err, "That was too late: the answer was no.")
	}
	return yes
}
