package host

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// withKargs shows the kernel's arguments where no change of them is asked for.
func withKargs(env *cli.Env, o *hostOptions) func(*cobra.Command, change) error {
	return func(cmd *cobra.Command, c change) error {
		if len(c.request.Append)+len(c.request.Delete) > 0 {
			return runChange(cmd, env, o, c)
		}
		return showKargs(cmd, env, o)
	}
}

func showKargs(cmd *cobra.Command, env *cli.Env, o *hostOptions) error {
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	st, err := h.Status(cmd.Context())
	if err != nil {
		return err
	}
	d := st.State.Next()
	if d == nil || d.Kargs == nil {
		d = st.State.Current()
	}
	if d == nil || d.Kargs == nil {
		return fail.New(osupdate.ErrUnsupported, "%s does not tell the kernel's arguments", h.Backend().Kind()).
			Hint("see the running ones in /proc/cmdline")
	}
	if o.format == cli.JSON {
		return cli.PrintJSON(env.Out, d.Kargs)
	}
	for _, k := range d.Kargs {
		fmt.Fprintln(env.Out, escape.Text(k))
	}
	return nil
}
