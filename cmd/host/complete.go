package host

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/completion"
)

// systems is a completion.Systems.
type systems struct {
	env *cli.Env
	o   *hostOptions
}

func (s systems) Systems(ctx context.Context) ([]completion.System, error) {
	h, err := openHost(s.env, s.o)
	if err != nil {
		return nil, err
	}
	st, err := h.Status(ctx)
	if err != nil {
		return nil, err
	}
	var out []completion.System
	for _, d := range st.State.Deployments {
		c := completion.System{Index: d.Index, Name: d.Name(), Kargs: d.Kargs, Next: d.Next}
		if d.Changes != nil {
			c.Layered = append(append(c.Layered, d.Changes.Layered...), d.Changes.Local...)
			c.Replaced = append(append(c.Replaced, d.Changes.Replaced...), d.Changes.Removed...)
		}
		out = append(out, c)
	}
	return out, nil
}

// deployments completes the indexes of the host's systems.
func deployments(env *cli.Env, o *hostOptions) cobra.CompletionFunc {
	return cli.Complete(func(cmd *cobra.Command, _ []string, _ string) []completion.Item {
		return completion.Indexes(cmd.Context(), systems{env, o})
	})
}

// stateroots completes the names of the stateroots in --sysroot.
func stateroots(o *hostOptions) cobra.CompletionFunc {
	return cli.Complete(func(*cobra.Command, []string, string) []completion.Item { return completion.Stateroots(o.sysroot) })
}
