package host

import (
	"cmp"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate"
)

// hostReaders are the commands that change nothing.
func hostReaders(env *cli.Env, o *hostOptions) []*cobra.Command {
	var check bool
	checkCmd := reader(env, o, readerHelp{
		"check", "Look for an update", `Look for an update of the image or branch that the host follows. check downloads nothing
that boots, and changes nothing.`, `  tbx host check
  tbx host check --check || echo nothing new`},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			c, err := h.Check(cmd.Context())
			if err != nil {
				return err
			}
			err = env.Print(o.format, c, func() error { printCheck(env, c); return nil })
			if err == nil && check && c.Update == nil && len(c.NotChecked) == 0 {
				return cli.Exit(cli.ExitUnchanged)
			}
			return err
		})
	checkCmd.Flags().BoolVar(&check, "check", false, "end with code 77 when there is no update")
	history := reader(env, o, readerHelp{
		"history", "Show what tbx did to the host", `Show the operations of tbx on the host, the oldest first: the request, its user, and the
result.`, "  tbx host history"},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			entries, err := h.History()
			if err != nil {
				return err
			}
			return env.Print(o.format, cli.OrEmpty(entries), func() error {
				if len(entries) == 0 {
					fmt.Fprintln(env.Err, "tbx has not changed this host yet")
					return nil
				}
				return printHistory(env.Out, entries)
			})
		})
	etc := reader(env, o, readerHelp{
		"etc-diff", "List what was changed in /etc",
		"List the files of /etc that differ from the system's own: M changed, A added, D deleted.", "  tbx host etc-diff"},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			lines, err := h.EtcDiff(cmd.Context())
			if err != nil {
				return err
			}
			return env.Print(o.format, cli.OrEmpty(lines), func() error {
				for _, l := range lines {
					fmt.Fprintln(env.Out, escape.Text(l))
				}
				return nil
			})
		})
	return []*cobra.Command{hostStatus(env, o), checkCmd, history, hostDiff(env, o), etc, hostDoctor(env, o), hostExport(env, o)}
}

// printHistory prints a line for each operation: time, request, user and result.
func printHistory(w io.Writer, entries []osupdate.Entry) error {
	ended := map[string]bool{}
	for _, e := range entries {
		ended[e.Op] = ended[e.Op] || e.Phase == "end"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		outcome := e.Outcome
		if e.Phase == "begin" {
			if ended[e.Op] {
				continue
			}
			outcome = "not finished"
		}
		asked := strings.Join(append([]string{string(e.Request.Verb)}, e.Request.Words()...), " ")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n",
			e.Time.Local().Format(time.DateTime), userName(e.User), escape.Text(asked), outcome, escape.Text(cmp.Or(e.Message, e.Intended)))
	}
	return t.Flush()
}

// userName returns the user's name, or the number of a user without a name.
func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return escape.Text(u.Username)
}

func hostDiff(env *cli.Env, o *hostOptions) *cobra.Command {
	var from, to string
	cmd := reader(env, o, readerHelp{
		"diff", "Show the differences of two systems", `Show the packages or files that differ between the running system and the next one. If
these are the same, compare the previous system and the running one.`, `  tbx host diff
  tbx host diff --from 1 --to 0`},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			d, err := h.Diff(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			return env.Print(o.format, d, func() error { printDiff(env, d); return nil })
		})
	cmd.Flags().StringVar(&from, "from", "", "the older `SYSTEM`, by index, version or id")
	cmd.Flags().StringVar(&to, "to", "", "the newer `SYSTEM`")
	for _, f := range []string{"from", "to"} {
		cmd.RegisterFlagCompletionFunc(f, deployments(env, o))
	}
	return cmd
}

func printDiff(env *cli.Env, d *osupdate.Diff) {
	if len(d.Removed)+len(d.Added)+len(d.Changed) == 0 {
		what := "hold the same"
		if d.Packages { // their files may differ
			what = "have the same packages"
		}
		fmt.Fprintf(env.Err, "%s and %s %s\n", escape.Text(d.From), escape.Text(d.To), what)
	}
	for _, part := range []struct {
		mark  string
		names []string
	}{{"-", d.Removed}, {"+", d.Added}, {" ", d.Changed}} {
		for _, n := range part.names {
			fmt.Fprintf(env.Out, "%s %s\n", part.mark, escape.Text(n))
		}
	}
}

func hostDoctor(env *cli.Env, o *hostOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor [flags]", Short: "Look for causes that keep the host from being updated",
		Long:    "Look for causes that keep, or would keep, this host from being updated, and show the remedies.",
		Example: "  tbx host doctor", Args: cli.Exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, openErr := openHost(env, o)
			if h == nil {
				return openErr
			}
			findings, worst := h.Doctor(cmd.Context(), openErr)
			told := worst
			err := env.Print(o.format, findings, func() error {
				for _, f := range findings {
					fmt.Fprintf(env.Out, "%-8s %-10s %s\n", f.Status, f.Name, escape.Text(f.Detail))
					if f.Hint != "" {
						fmt.Fprintf(env.Out, "%-8s %-10s %s\n", "", "", escape.Text(f.Hint))
					}
				}
				if worst != nil {
					env.Details(worst) // the error itself is one of the findings
					told = cli.Exit(cli.CodeOf(worst, false))
				}
				return nil
			})
			return cmp.Or(err, told)
		},
	}
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

func printCheck(env *cli.Env, c *osupdate.Checked) {
	switch u := c.Update; {
	case u == nil && c.Staged != "":
		fmt.Fprintf(env.Out, "%s waits for the next boot\n", escape.Text(c.Staged))
	case u == nil && len(c.NotChecked) > 0:
		fmt.Fprintln(env.Out, "No update was found")
	case u == nil:
		fmt.Fprintln(env.Out, "There is no update")
	default:
		text := "Update " + cmp.Or(u.Version, u.Checksum, "available")
		if u.Bytes > 0 {
			text += ", " + bytesize.Text(u.Bytes)
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
	if u := c.Update; u != nil && u.Successor != "" {
		fmt.Fprintf(env.Out, "It is the last update of this branch; its successor is %s\n", escape.Text(u.Successor))
	}
	if c.Downloaded != "" {
		fmt.Fprintf(env.Out, "%s is downloaded, and boots after: tbx host upgrade\n", escape.Text(c.Downloaded))
	}
	if len(c.NotChecked) > 0 {
		fmt.Fprintf(env.Out, "Not looked at: %s\n", escape.Text(strings.Join(c.NotChecked, "; ")))
	}
	if r := c.Refused; r != nil {
		fmt.Fprintf(env.Out, "An upgrade would be refused: %s\n", escape.Text(r.Message))
		for _, hint := range r.Hints {
			fmt.Fprintf(env.Out, "  %s\n", escape.Text(hint))
		}
	}
	if c.Boot.State == osupdate.BootOther || c.Boot.State == osupdate.BootUnknown {
		fmt.Fprintln(env.Out, escape.Text(c.Boot.Text))
	}
}
