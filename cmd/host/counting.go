package host

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/osupdate"
)

// withCounting shows what counts this host, where no change is asked for.
func withCounting(env *cli.Env, o *hostOptions) func(*cobra.Command, change) error {
	return func(cmd *cobra.Command, c change) error {
		if c.request.Target != "" && c.request.Target != "status" {
			return runChange(cmd, env, o, c)
		}
		if err := c.request.Validate(); err != nil {
			return err
		}
		h, err := openHost(env, o)
		if err != nil {
			return err
		}
		all, err := h.Counters(cmd.Context())
		if err != nil {
			return err
		}
		return env.Print(o.format, all, func() error {
			for _, one := range all {
				fmt.Fprintf(env.Out, "%-22s%-8s%s\n", one.Name, one.State, one.What)
			}
			fmt.Fprintf(env.Out, "%-22s%-8s%s\n", "tbx", osupdate.CountsAbsent, "counts nobody")
			return nil
		})
	}
}
