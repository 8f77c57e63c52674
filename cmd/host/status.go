package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
)

func hostStatus(env *cli.Env, o *hostOptions) *cobra.Command {
	return reader(env, o, readerHelp{
		"status", "Show the systems that the host can boot",
		`Show the host's updater, the systems that the host can boot, in boot order, and the
updater's present work.`,
		`  tbx host status
  tbx host status --format json | jq '.state.deployments[0]'`},
		func(cmd *cobra.Command, h *osupdate.Host) error {
			st, err := h.Status(cmd.Context())
			if err != nil {
				return err
			}
			view := autoView(cmd.Context(), env, o)
			return env.Print(o.format, statusAndAuto{st, view}, func() error {
				if err := printStatus(env, st, env.Log.IsLevelEnabled(logrus.DebugLevel)); err != nil || view == nil {
					return err
				}
				fmt.Fprintln(env.Out)
				for _, line := range view.Lines {
					fmt.Fprintln(env.Out, escape.Text(line))
				}
				return nil
			})
		})
}

// statusAndAuto is the JSON of status.
type statusAndAuto struct {
	*osupdate.Status
	Auto *auto.View `json:"auto,omitempty"`
}

// autoView returns the state of automatic updates. It is nil if they were never used, and
// for another sysroot than the running host's.
func autoView(ctx context.Context, env *cli.Env, o *hostOptions) *auto.View {
	cfg, err := autoConfig(env, o, false)
	if err != nil || !auto.Used(cfg.Root, cfg.StateDir) {
		return nil
	}
	v, _, err := auto.Look(ctx, cfg.Root, cfg.StateDir, auto.SystemBus{}, time.Now())
	if err != nil {
		env.Progress().Warn("automatic updates: "+err.Error(), "")
		return nil
	}
	return v
}

// readerHelp is the help of a command that reads.
type readerHelp struct{ use, short, long, example string }

// reader returns a command that opens the host and prints some of its state.
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

// explainDetection shows, with --verbose, why a host does not count as image-based.
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
	if b := s.Boot; b.State != osupdate.BootRunning && b.State != osupdate.BootStaged {
		fmt.Fprintf(env.Out, "Boots    %s (%s)\n", escape.Text(b.Text), escape.Text(b.Source))
	}
	if len(s.Custom) > 0 {
		fmt.Fprintf(env.Out, "Managed  %s\n", escape.Text(strings.Join(s.Custom, "; ")))
	}
	if cur := s.Current(); cur != nil && cur.Signature != "" {
		fmt.Fprintf(env.Out, "Signed   %s\n", escape.Text(signatureWords(cur.Signature)))
	}
	if s.Busy != nil {
		fmt.Fprintf(env.Out, "Busy     %s\n", escape.Text(osupdate.Busy(*s.Busy).Error()))
	}
	if s.Driver != nil {
		text := "by " + s.Driver.Name + " (" + s.Driver.Unit + ")"
		if s.Driver.Inactive {
			text += ", which does not run"
		}
		fmt.Fprintf(env.Out, "Driven   %s\n", escape.Text(text))
	}
	if verbose {
		for _, e := range st.Detection.Evidence {
			fmt.Fprintf(env.Out, "Because  %s\n", escape.Text(e))
		}
	}
	if err := printSystems(env.Out, s); err != nil {
		return err
	}
	printEndOfLife(env, s)
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
		env.Progress().Warn(fmt.Sprintf("%s should have booted and did not", e.Intended), "tbx host doctor")
	}
	return nil
}

// signatureWords describes how signatures are checked.
func signatureWords(signature string) string {
	switch signature {
	case "policy":
		return "as /etc/containers/policy.json demands"
	case "valid":
		return "yes, by a key that this host trusts"
	case "required":
		return "each update must be"
	case "none", "insecure":
		return "no: signatures are not checked"
	case "unknown":
		return "not known"
	}
	return "as " + signature + " demands"
}

// printSystems prints a line for each system. It shows what each follows only if that
// differs.
func printSystems(w io.Writer, s *osupdate.State) error {
	several, dates := false, false
	for _, d := range s.Deployments {
		several = several || d.Tracks != s.Deployments[0].Tracks
		dates = dates || made(&d) != ""
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "\tVERSION\tCONTENT\tSTATE\tCHANGES"
	if dates {
		head = strings.Replace(head, "\tSTATE", "\tDATE\tSTATE", 1)
	}
	if several {
		head += "\tFOLLOWS"
	}
	fmt.Fprintln(t, head)
	for _, d := range s.Deployments {
		content := d.Content()
		if len(content) > 12 && len(d.Checksum) > 12 {
			content = content[:12]
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t", d.Index, escape.Text(d.Version), escape.Text(content))
		if dates {
			fmt.Fprintf(t, "%s\t", made(&d))
		}
		fmt.Fprintf(t, "%s\t%s", escape.Text(marks(&d)), changes(&d))
		if several {
			fmt.Fprintf(t, "\t%s", escape.Text(d.Tracks))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// made returns the day on which the image of a system was made.
func made(d *osupdate.Deployment) string {
	at := d.BaseTime
	if at == nil {
		at = d.Time
	}
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}

// printEndOfLife warns about a system that gets no updates any more, and names an
// alternative.
func printEndOfLife(env *cli.Env, s *osupdate.State) {
	cur := s.Current()
	if cur == nil || cur.EndOfLife == "" {
		return
	}
	hint := "choose what to follow instead: tbx host switch REF|IMAGE"
	if cur.Successor != "" {
		hint = "follow its successor, " + cur.Successor + ": tbx host switch --successor"
	}
	env.Progress().Warn("the running system has reached its end of life: "+cur.EndOfLife, hint)
}

func marks(d *osupdate.Deployment) string {
	var out []string
	for _, m := range []struct {
		is   bool
		word string
	}{
		{d.Booted, "running"}, {d.Next, "boots next"}, {d.Staged, "staged"}, {d.Locked, "not applied"},
		{d.Rollback, "rollback"}, {d.Pinned, "pinned"},
		{d.Unlocked != "", "unlocked"}, {d.Changes != nil && d.Changes.Live, "changed live"},
		{d.SoftReboot && d.Next && !d.Booted, "soft reboot"},
		{d.Incomplete != "", d.Incomplete},
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
	}{
		{len(c.Layered) + len(c.Local), "layered"}, {len(c.Removed), "removed"}, {len(c.Replaced), "replaced"},
		{len(c.Files), "in the initramfs"}, {len(c.NotInUse), "without effect"},
	} {
		if part.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(out, ", ")
}
