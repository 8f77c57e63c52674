package host

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate"
)

func hostStatus(env *cli.Env, o *hostOptions) *cobra.Command {
	return reader(env, o, readerHelp{
		"status", "Show the systems that the host can boot",
		`Show the host's updater, the systems that the host can boot, in the order of booting,
and what the updater does now.`,
		`  tbx host status
  tbx host status --format json | jq '.state.deployments[0]'`},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			st, err := h.Status(cmd.Context())
			if err != nil {
				return err
			}
			if o.format == cli.JSON {
				return cli.PrintJSON(env.Out, st)
			}
			return printStatus(env, st, env.Log.IsLevelEnabled(logrus.DebugLevel))
		})
}

// readerHelp is what is said of a command that reads.
type readerHelp struct{ use, short, long, example string }

// reader is a command that opens the host and prints something of it.
func reader(env *cli.Env, o *hostOptions, help readerHelp, run func(*cobra.Command, *osupdate.Host) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: help.use + " [flags]", Short: help.short, Long: help.long, Example: help.example,
		Args: cli.Exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := openHost(env, o)
			if err != nil {
				explainDetection(env, h, err)
				return err
			}
			err = run(cmd, h)
			env.Progress().Close()
			return err
		},
	}
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

// explainDetection shows with --verbose why a host was not taken for image-based.
func explainDetection(env *cli.Env, h *osupdate.Host, err error) {
	if h == nil || !errors.Is(err, osupdate.ErrNotImage) && !errors.Is(err, osupdate.ErrInContainer) {
		return
	}
	for _, e := range h.Detection().Evidence {
		env.Log.Debug("host: " + escape.Text(e))
	}
}

func printStatus(env *cli.Env, st *osupdate.Status, verbose bool) error {
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
		env.Progress().Warn(w, "")
	}
	if e := st.Interrupted; e != nil {
		env.Progress().Warn(fmt.Sprintf("%s of %s was interrupted", e.Request.Verb, e.Time.Local().Format(time.DateTime)),
			"do it again; nothing is half done")
	}
	if u := st.Unfinished; u != nil {
		env.Progress().Warn("the last shutdown could not finish an update: "+u.Message, u.Hint)
	}
	if e := st.Unbooted; e != nil {
		env.Progress().Warn(fmt.Sprintf("%s was to boot and did not", e.Intended), "tbx host doctor")
	}
	return nil
}

func marks(d *osupdate.Deployment) string {
	var out []string
	for _, m := range []struct {
		is   bool
		word string
	}{
		{d.Booted, "running"}, {d.Next, "boots next"}, {d.Staged, "staged"}, {d.Locked, "not applied"},
		{d.Rollback, "rollback"}, {d.Pinned, "pinned"}, {d.Unlocked != "", "unlocked"},
	} {
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
