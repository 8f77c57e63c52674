package declared

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/provision/converge"
)

// printPlan writes a plan as a diff: + added, - removed, ~ changed, ! refused.
func printPlan(w io.Writer, p *converge.Plan) {
	same := 0
	for _, s := range p.Steps {
		if s.Action == converge.Nothing {
			same++
			continue
		}
		printHead(w, s)
		printContent(w, s)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "Note: %s.\n", escape.Text(n))
	}
	switch {
	case !p.Changes():
		fmt.Fprintf(w, "Nothing to do: %s in %s.\n", toolboxes(same), escape.Text(p.File))
	case same > 0:
		fmt.Fprintf(w, "%s.\n", toolboxes(same))
	}
}

func printHead(w io.Writer, s *converge.Step) {
	switch s.Action {
	case converge.Create:
		fmt.Fprintf(w, "+ toolbox %s, from %s\n", s.Name, escape.Text(s.Image))
	case converge.Change:
		taken := ""
		if s.Adopt {
			taken = ", taken over"
		}
		fmt.Fprintf(w, "~ toolbox %s%s\n", s.Name, taken)
	case converge.Rebuild:
		fmt.Fprintf(w, "~ toolbox %s, made anew: tbx asks first, and keeps the old one\n", s.Name)
		fmt.Fprintf(w, "    - image = %s\n    + image = %s\n", escape.Text(s.Before), escape.Text(s.Image))
	case converge.Remove:
		fmt.Fprintf(w, "- toolbox %s, with everything in it and its snapshots\n", s.Name)
	case converge.Release:
		fmt.Fprintf(w, "  toolbox %s is no longer declared: it was taken over, and becomes your own again\n", s.Name)
	case converge.Leave:
		fmt.Fprintf(w, "  toolbox %s is no longer declared, and stays: --prune would remove it\n", s.Name)
	case converge.Refuse:
		fmt.Fprintf(w, "! toolbox %s: %s\n", s.Name, escape.Text(s.Reason))
	}
}

func printContent(w io.Writer, s *converge.Step) {
	if s.Behind {
		fmt.Fprintln(w, "    ~ settings that were changed in its file are applied")
	}
	for _, d := range s.Settings {
		if d.Before != "" {
			fmt.Fprintf(w, "    - %s = %s\n", d.Key, escape.Text(d.Before))
		}
		if d.After != "" {
			fmt.Fprintf(w, "    + %s = %s\n", d.Key, escape.Text(d.After))
		}
	}
	for _, name := range s.Drop {
		fmt.Fprintf(w, "    - package %s\n", escape.Text(name))
	}
	for _, name := range s.Install {
		fmt.Fprintf(w, "    + package %s\n", escape.Text(name))
	}
	for _, f := range s.Files {
		if f.Remove {
			fmt.Fprintf(w, "    - file %s\n", escape.Text(f.Path))
			continue
		}
		from := ""
		if f.From != "" {
			from = " from " + escape.Text(f.From)
		}
		fmt.Fprintf(w, "    + file %s%s (mode %s, %s)\n", escape.Text(f.Path), from, f.Mode, cli.Plural(f.Bytes, "byte"))
	}
	for _, c := range s.Setup {
		who := "root"
		if c.AsUser {
			who = "you"
		}
		lines := strings.Split(strings.TrimRight(c.Command, "\n"), "\n")
		fmt.Fprintf(w, "    + run as %s: %s\n", who, escape.Text(lines[0]))
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "        %s\n", escape.Text(strings.ReplaceAll(line, "\t", "    ")))
		}
	}
}

// toolboxes counts the toolboxes that are as declared.
func toolboxes(n int) string {
	if n == 1 {
		return "1 toolbox is as declared"
	}
	return strconv.Itoa(n) + " toolboxes are as declared"
}
