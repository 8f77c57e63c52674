package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// withKargs shows the kernel's arguments if no change of them is asked for.
func withKargs(env *cli.Env, o *hostOptions) func(*cobra.Command, change) error {
	return func(cmd *cobra.Command, c change) error {
		if len(c.request.Append)+len(c.request.Delete) > 0 {
			return runChange(cmd, env, o, c)
		}
		return showKargs(cmd, env, o)
	}
}

// showKargs prints the kernel arguments of the next boot. If the running ones differ, it
// says so on standard error.
func showKargs(cmd *cobra.Command, env *cli.Env, o *hostOptions) error {
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	next, running, err := h.Kargs(cmd.Context())
	if err != nil {
		return err
	}
	list, note := next, ""
	switch {
	case next == nil && running == nil:
		return fail.New(osupdate.ErrUnsupported, "%s does not tell the kernel's arguments", h.Backend().Kind()).
			Hint("see the running ones in /proc/cmdline")
	case next == nil:
		list, note = running, "these are the running kernel's; those of the next boot are not known"
	case running != nil && !slices.Equal(next, running):
		note = "these are for the next boot; the running kernel has: " + strings.Join(running, " ")
	}
	return env.Print(o.format, list, func() error {
		for _, k := range list {
			fmt.Fprintln(env.Out, escape.Text(k))
		}
		if note != "" {
			fmt.Fprintln(env.Err, escape.Text(note))
		}
		return nil
	})
}
