package host

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate"
)

// runChange plans and carries out a change.
func runChange(cmd *cobra.Command, env *cli.Env, o *hostOptions, c change) error {
	if err := c.request.Validate(); err != nil {
		return err
	}
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	res, err := h.Do(cmd.Context(), c.request, c.dryRun)
	if err != nil {
		return err
	}
	if err := printChange(env, o, res); err != nil {
		return err
	}
	return finishChange(cmd.Context(), h, c.changeOptions, res)
}

// printChange prints a result and its warnings.
func printChange(env *cli.Env, o *hostOptions, res *osupdate.Result) error {
	if err := env.Print(o.format, res, func() error { printResult(env, res); return nil }); err != nil {
		return err
	}
	for _, w := range res.Warnings {
		env.Progress().Warn(w, "")
	}
	return nil
}

// finishChange restarts the machine if --reboot asks for it, and returns the exit code of
// --check.
func finishChange(ctx context.Context, h *osupdate.Host, c *changeOptions, res *osupdate.Result) error {
	if c.reboot && !c.dryRun && res.Reboot != "" {
		if _, err := h.Do(ctx, osupdate.Request{Verb: osupdate.Reboot}, false); err != nil {
			return err
		}
	}
	if c.check && res.Unchanged != "" {
		return cli.Exit(cli.ExitUnchanged)
	}
	return nil
}

func printResult(env *cli.Env, res *osupdate.Result) {
	switch {
	case res.Unchanged != "":
		fmt.Fprintf(env.Out, "Unchanged: %s\n", escape.Text(res.Unchanged))
	case res.DryRun:
		printPlan(env, res.Plan)
	case res.Plan.Request.Verb == osupdate.Reboot:
	case res.Before != nil && res.After != nil && (!res.Before.Same(res.After) || res.Before.ID != res.After.ID):
		after, before := osupdate.NamesOf(res.After, res.Before)
		fmt.Fprintf(env.Out, "%s boots next, after %s\n", escape.Text(after), escape.Text(before))
		if what := osupdate.Difference(res.Before, res.After); what != "" {
			fmt.Fprintf(env.Out, "It differs: %s\n", escape.Text(what))
		}
	default:
		fmt.Fprintf(env.Out, "Done: %s\n", escape.Text(strings.Join(res.Plan.Effects, "; ")))
	}
	if res.Reboot != "" && !res.DryRun {
		fmt.Fprintf(env.Err, "Restart when it suits you: tbx host reboot\n")
	}
}

func printPlan(env *cli.Env, p *osupdate.Plan) {
	for i, s := range p.Steps {
		fmt.Fprintf(env.Out, "%d. %s\n   %s\n", i+1, escape.Text(s.Effect), escape.Text(cli.Quoted(s.Argv)))
	}
	if p.Request.Verb == osupdate.Reboot {
		fmt.Fprintln(env.Out, escape.Text(strings.Join(p.Effects, "; ")))
	}
	for _, f := range []struct {
		is  bool
		yes string
		no  string
	}{
		{p.NeedsRoot, "Needs root", "Needs no root"},
		{p.NeedsBoot, "Needs a reboot to take effect", "Takes effect at once"},
		{p.Reversible, "Can be undone", "Cannot be undone"},
	} {
		if f.is {
			fmt.Fprintln(env.Out, f.yes)
		} else {
			fmt.Fprintln(env.Out, f.no)
		}
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(env.Out, "Note: %s\n", escape.Text(w))
	}
}
