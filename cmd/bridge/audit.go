package bridge

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
)

// NewAudit returns `tbx audit`.
func NewAudit(env *cli.Env) *cobra.Command {
	var filter hostbridge.AuditFilter
	var follow bool
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "audit [flags]",
		Short: "Show the requests of toolboxes to the host",
		Long: `Show the requests of toolboxes to the host, and their results. The log is
~/.local/state/tbx/host-audit.jsonl. systemd's journal, if there is one, gets the same
lines. A toolbox cannot change them there, though your programs can add similar ones:
journalctl SYSLOG_IDENTIFIER=tbx-agent

When the log is full, its oldest lines are removed, except a share for each toolbox: the
newest 512 KiB of its denied requests and as much of the others, or less if there are many
toolboxes. After 200 denied requests of one toolbox, one in a minute is written, and the
others are counted.`,
		Example:           "  tbx audit --denied\n  tbx audit --follow --toolbox build --format json",
		Args:              cli.Exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := env.Host()
			if err != nil {
				return err
			}
			lines := 0
			err = hostbridge.ReadAudit(cmd.Context(), cli.AuditFile(h), filter, follow, func(r hostbridge.AuditEntry) error {
				lines++
				if format == cli.JSON {
					return cli.PrintJSONLine(env.Out, r)
				}
				_, err := fmt.Fprintln(env.Out, auditLine(r))
				return err
			})
			if err == nil && lines == 0 && !follow && format == cli.Text {
				fmt.Fprintln(env.Err, "The log has no such request.")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "keep printing new requests")
	f.StringVarP(&filter.Box, "toolbox", "t", "", "only requests of toolbox `NAME`")
	f.BoolVar(&filter.Denied, "denied", false, "only denied requests")
	cli.FormatFlag(cmd, &format)
	cmd.RegisterFlagCompletionFunc("toolbox", env.CompleteToolboxes)
	return cmd
}

// auditLine returns a record for people. Its texts were escaped when it was written, but
// a toolbox that shares the home can write into the log too.
func auditLine(r hostbridge.AuditEntry) string { return escape.Text(auditText(r)) }

func auditText(r hostbridge.AuditEntry) string {
	out := r.Time.Local().Format(time.DateTime) + " " + r.Box + " "
	if r.Event == "end" {
		switch {
		case r.Exit != nil:
			out += fmt.Sprintf("#%d ended with %d", r.Of, *r.Exit)
		case r.Signal != 0:
			out += fmt.Sprintf("#%d died of signal %d", r.Of, r.Signal)
		default:
			out += fmt.Sprintf("#%d: %s", r.Of, r.Reason)
		}
		if r.Millis != nil {
			out += fmt.Sprintf(" after %d ms", *r.Millis)
		}
		return out
	}
	if r.Event == "refused" {
		return out + fmt.Sprintf("%d more requests refused, the last: %s", r.More, r.Reason)
	}
	out += fmt.Sprintf("#%d %s", r.Seq, r.Decision)
	if r.Answer != "" {
		out += " (" + r.Answer + ")"
	}
	out += ": " + hostbridge.Shown(r.Argv)
	if r.Rule != "" {
		out += "  [" + r.Rule + "]"
	}
	if r.Reason != "" {
		out += "  " + r.Reason
	}
	return out
}
