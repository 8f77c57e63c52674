package box

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
)

// columnsOf prints a list as another program does, for those that read its output: the
// columns of toolbox list --containers, and of distrobox list.
var columnsOf = map[string]func(w io.Writer, rows []row, now time.Time) error{ // constant
	"toolbx":    printToolbx,
	"distrobox": printDistrobox,
}

// printToolbx prints nothing where there is no toolbox. Two spaces and more are between
// columns, and words within one are one space apart.
func printToolbx(w io.Writer, rows []row, now time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CONTAINER ID\tCONTAINER NAME\tCREATED\tSTATUS\tIMAGE NAME")
	for _, r := range rows {
		fmt.Fprintf(t, "%.12s\t%s\t%s\t%s\t%s\n", r.ID, escape.Text(r.Name), cli.Ago(now.Sub(r.Created)), r.State, escape.Text(r.Image))
	}
	return t.Flush()
}

// printDistrobox prints four fields a line, whatever is in them. Programs know by the
// first word of the status whether a toolbox runs.
func printDistrobox(w io.Writer, rows []row, now time.Time) error {
	line := func(fields ...any) { fmt.Fprintf(w, "%-12.12s | %-20s | %-18s | %-30s\n", fields...) }
	field := func(s string) string { return strings.ReplaceAll(escape.Text(s), "|", "/") }
	line("ID", "NAME", "STATUS", "IMAGE")
	for _, r := range rows {
		status := "Created"
		switch {
		case r.State == "running" && r.Started != nil:
			status = "Up " + strings.TrimSuffix(cli.Ago(now.Sub(*r.Started)), " ago")
		case r.State == "running":
			status = "Up"
		case r.State != "created" && r.State != "configured":
			status = "Exited"
		}
		line(r.ID, field(r.Name), status, field(r.Image))
	}
	return nil
}
