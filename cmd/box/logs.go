package box

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/toolbox"
)

// NewLogs returns `tbx logs`.
func NewLogs(env *cli.Env) *cobra.Command {
	tail := -1
	cmd := &cobra.Command{
		Use:         "logs [flags] NAME",
		Annotations: cli.Quietly(),
		Short:       "Show the log of a toolbox's last start",
		Long:        "Show the steps and warnings of a toolbox's last start, and the output of its first process.",
		Example:     "  tbx logs build",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := toolbox.ParseName(args[0])
			if err != nil {
				return err
			}
			m, err := env.Manager()
			if err != nil {
				return err
			}
			return m.Logs(cmd.Context(), name, tail, env.Out)
		},
	}
	ofToolbox(env, cmd)
	cmd.Flags().IntVarP(&tail, "tail", "n", tail, "only the last `N` lines of the first process's output; -1: all")
	cli.NoCompletion(cmd, "tail")
	return cmd
}
