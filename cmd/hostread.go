//go:build !front

package cmd

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/toolbox"
)

// hostReaders are the commands that change nothing.
func hostReaders(env *Env, o *hostOptions) []*cobra.Command {
	var check bool
	status := reader(env, o, "status", "Show the systems that the host can boot", "Show which updater the host has, the systems that it can boot, in the order of booting,\nand what is going on.",
		"  tbx host status\n  tbx host status --format json | jq '.state.deployments[0]'",
		func(cmd *cobra.Command, h *osupdate.Host) error {
			st, err := h.Status(cmd.Context())
			if err != nil {
				return err
			}
			if o.format == "json" {
				return printJSON(env.Out, st)
			}
			return printStatus(env, st, env.Log.IsLevelEnabled(logrus.DebugLevel))
		})
	checkCmd := reader(env, o, "check", "Look for an update", "Look whether there is an update of what the host follows. Nothing is downloaded\nthat boots, and nothing is changed.",
		"  tbx host check\n  tbx host check --check || echo nothing new",
		func(cmd *cobra.Command, h *osupdate.Host) error {
			c, err := h.Check(cmd.Context())
			if err != nil {
				return err
			}
			if o.format == "json" {
				err = printJSON(env.Out, c)
			} else {
				printCheck(env, c)
			}
			if err == nil && check && c.Update == nil {
				return &toolbox.ExitError{Code: osupdate.ExitUnchanged}
			}
			return err
		})
	checkCmd.Flags().BoolVar(&check, "check", false, "end with code 77 when there is no update")
	history := reader(env, o, "history", "Show what tbx did to the host", "Show what tbx did to the host, the oldest first: what was asked, by whom, and what\ncame of it.", "  tbx host history",
		func(cmd *cobra.Command, h *osupdate.Host) error {
			entries, err := h.History()
			if err != nil {
				return err
			}
			if o.format == "json" {
				return printJSON(env.Out, append([]osupdate.Entry{}, entries...))
			}
			t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
			for _, e := range entries {
				if e.Phase == "end" {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(time.DateTime), e.Request.Verb, escape.Text(e.Request.Target), e.Outcome, escape.Text(firstOf(e.Message, e.Intended)))
				}
			}
			return t.Flush()
		})
	etc := reader(env, o, "etc-diff", "List what was changed in /etc", "List the files of /etc that differ from the system's own: M changed, A added, D deleted.", "  tbx host etc-diff",
		func(cmd *cobra.Command, h *osupdate.Host) error {
			lines, err := h.EtcDiff(cmd.Context())
			if err != nil {
				return err
			}
			if o.format == "json" {
				return printJSON(env.Out, append([]string{}, lines...))
			}
			for _, l := range lines {
				fmt.Fprintln(env.Out, escape.Text(l))
			}
			return nil
		})
	return []*cobra.Command{status, checkCmd, history, hostDiff(env, o), etc, hostDoctor(env, o), hostExport(env, o)}
}

func reader(env *Env, o *hostOptions, use, short, long, example string, run func(*cobra.Command, *osupdate.Host) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " [flags]", Short: short, Long: long, Example: example, Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			h, err := openHost(env, o)
			if err != nil {
				explainDetection(env, h, err)
				return err
			}
			err = run(cmd, h)
			env.progress().Close()
			return err
		},
	}
	formatFlag(cmd, &o.format)
	return cmd
}

// explainDetection shows with --verbose why a host was not taken for image-based.
func explainDetection(env *Env, h *osupdate.Host, err error) {
	if h == nil || !errors.Is(err, osupdate.ErrNotImage) && !errors.Is(err, osupdate.ErrInContainer) {
		return
	}
	for _, e := range h.Detection().Evidence {
		env.Log.Debug("host: " + escape.Text(e))
	}
}

func hostDiff(env *Env, o *hostOptions) *cobra.Command {
	var from, to string
	cmd := reader(env, o, "diff", "Show what two systems differ in", "Show which packages, or files, the running system and the next one differ in; or the\nprevious and the running one, when they are the same.",
		"  tbx host diff\n  tbx host diff --from 1 --to 0",
		func(cmd *cobra.Command, h *osupdate.Host) error {
			d, err := h.Diff(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			if o.format == "json" {
				return printJSON(env.Out, d)
			}
			for _, part := range []struct {
				mark  string
				names []string
			}{{"-", d.Removed}, {"+", d.Added}, {" ", d.Changed}} {
				for _, n := range part.names {
					fmt.Fprintf(env.Out, "%s %s\n", part.mark, escape.Text(n))
				}
			}
			return nil
		})
	cmd.Flags().StringVar(&from, "from", "", "the older `SYSTEM`, by index, version or id")
	cmd.Flags().StringVar(&to, "to", "", "the newer `SYSTEM`")
	for _, f := range []string{"from", "to"} {
		cmd.RegisterFlagCompletionFunc(f, deployments(env, o))
	}
	return cmd
}

func hostDoctor(env *Env, o *hostOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor [flags]", Short: "Look for what keeps the host from being updated", Long: "Look for what keeps, or would keep, this host from being updated, and say what to do.",
		Example: "  tbx host doctor", Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			h, openErr := openHost(env, o)
			if h == nil {
				return openErr
			}
			findings, worst := h.Doctor(cmd.Context(), openErr)
			env.progress().Close()
			if o.format == "json" {
				if err := printJSON(env.Out, findings); err != nil {
					return err
				}
				return worst
			}
			for _, f := range findings {
				fmt.Fprintf(env.Out, "%-8s %-10s %s\n", f.Status, f.Name, escape.Text(f.Detail))
				if f.Hint != "" {
					fmt.Fprintf(env.Out, "%-8s %-10s %s\n", "", "", escape.Text(f.Hint))
				}
			}
			return worst
		},
	}
	formatFlag(cmd, &o.format)
	return cmd
}

func printStatus(env *Env, st *osupdate.Status, verbose bool) error {
	s := st.State
	fmt.Fprintf(env.Out, "Updater  %s\nFollows  %s\n", s.Backend, escape.Text(s.Tracked))
	if s.Reboot != "" {
		fmt.Fprintf(env.Out, "Reboot   %s\n", escape.Text(s.Reboot))
	}
	if s.Busy != nil {
		fmt.Fprintf(env.Out, "Busy     %s\n", escape.Text(osupdate.Busy(*s.Busy).Error()))
	}
	if s.Driver != nil {
		fmt.Fprintf(env.Out, "Driven   by %s (%s)\n", escape.Text(s.Driver.Name), escape.Text(s.Driver.Unit))
	}
	if verbose {
		for _, e := range st.Detection.Evidence {
			fmt.Fprintf(env.Out, "Because  %s\n", escape.Text(e))
		}
	}
	fmt.Fprintln(env.Out)
	t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tVERSION\tCONTENT\tSTATE\tCHANGES")
	for _, d := range s.Deployments {
		content := d.Content()
		if len(content) > 12 && len(d.Checksum) > 12 {
			content = content[:12]
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", d.Index, escape.Text(d.Version), escape.Text(content), marks(&d), changes(&d))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, w := range s.Warnings {
		env.progress().Warn(w, "")
	}
	if e := st.Interrupted; e != nil {
		env.progress().Warn(fmt.Sprintf("%s of %s was interrupted", e.Request.Verb, e.Time.Local().Format(time.DateTime)), "do it again; nothing is half done")
	}
	if u := st.Unfinished; u != nil {
		env.progress().Warn("the last shutdown could not finish an update: "+u.Message, u.Hint)
	}
	if e := st.Unbooted; e != nil {
		env.progress().Warn(fmt.Sprintf("%s was to boot and did not", e.Intended), "tbx host doctor")
	}
	return nil
}

func marks(d *osupdate.Deployment) string {
	var out []string
	for _, m := range []struct {
		is   bool
		word string
	}{{d.Booted, "running"}, {d.Next, "boots next"}, {d.Staged, "staged"}, {d.Locked, "not applied"}, {d.Rollback, "rollback"}, {d.Pinned, "pinned"}, {d.Unlocked != "", "unlocked"}} {
		if m.is {
			out = append(out, m.word)
		}
	}
	return strings.Join(out, ", ")
}

func changes(d *osupdate.Deployment) string {
	c := d.Changes
	if c == nil {
		return ""
	}
	var out []string
	for _, part := range []struct {
		n    int
		word string
	}{{len(c.Layered) + len(c.Local), "layered"}, {len(c.Removed), "removed"}, {len(c.Replaced), "replaced"}} {
		if part.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(out, ", ")
}

func printCheck(env *Env, c *osupdate.Checked) {
	switch u := c.Update; {
	case u == nil && c.Staged != "":
		fmt.Fprintf(env.Out, "%s waits for the next boot\n", escape.Text(c.Staged))
	case u == nil:
		fmt.Fprintln(env.Out, "There is no update")
	default:
		text := "Update " + firstOf(u.Version, u.Checksum, "available")
		if u.Bytes > 0 {
			text += fmt.Sprintf(", %d MB", u.Bytes/1e6)
		}
		if u.Severity != "" {
			text += ", security: " + u.Severity
		}
		fmt.Fprintln(env.Out, escape.Text(text))
		if u.Packages != nil {
			for _, p := range u.Packages.Changed {
				fmt.Fprintln(env.Out, "  "+escape.Text(p))
			}
		}
	}
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// deployments completes the indexes and versions of the host's systems.
func deployments(env *Env, o *hostOptions) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		h, err := openHost(env, o)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		st, err := h.Status(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, d := range st.State.Deployments {
			out = append(out, fmt.Sprintf("%d\t%s", d.Index, d.Name()))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
