package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/osupdate"
)

// exitTables are the documents with a table of exit codes, by its first line.
func exitTables() map[string]func() string {
	return map[string]func() string{"docs/exit-codes.md": exitTable, "docs/host-json.md": hostExitTable}
}

// exitTable is the table of docs/exit-codes.md.
func exitTable() string {
	var b strings.Builder
	b.WriteString("| code | of | means |\n|---|---|---|\n")
	for _, c := range cli.ExitCodes() {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", c.Code, exitOf(c.Of), c.Means)
	}
	return b.String()
}

// exitOf names the commands of groups.
func exitOf(groups []cli.ExitGroup) string {
	of := []struct {
		group cli.ExitGroup
		names string
	}{
		{cli.ExitSession, "`run`, `enter`, `host-exec`"}, {cli.ExitPolicyTest, "`policy test`"},
		{cli.ExitHost, "`host`"}, {cli.ExitPlan, "`plan`"},
	}
	general := slices.Contains(groups, cli.ExitGeneral)
	var named []string // those that have it, or with general those that have not
	for _, g := range of {
		if slices.Contains(groups, g.group) != general {
			named = append(named, g.names)
		}
	}
	switch {
	case !general:
		return strings.Join(named, ", ")
	case len(named) == 0:
		return "all"
	}
	return "all but " + strings.Join(named, ", ")
}

// hostExitTable is the table of docs/host-json.md: the kinds of failure of an update.
func hostExitTable() string {
	var b strings.Builder
	b.WriteString("| code | kind | means |\n|---|---|---|\n")
	for _, c := range cli.ExitCodes() {
		for _, k := range c.Kinds {
			if p, ok := errors.AsType[*osupdate.Problem](k.Err); ok {
				means := k.Means
				if means == "" {
					means = c.Means
				}
				fmt.Fprintf(&b, "| %d | %s | %s |\n", c.Code, p.Name, means)
			}
		}
		if c.Code == cli.ExitUnchanged {
			fmt.Fprintf(&b, "| %d | | %s |\n", c.Code, c.Means)
		}
	}
	return b.String()
}

// exitStatus is the section of a command's manual page.
func exitStatus(c *cobra.Command) string {
	var b strings.Builder
	if cli.ExitGroupOf(c) == cli.ExitSession {
		b.WriteString(roff("The command's own; 128+N when signal N ended it. Or:") + "\n")
	}
	for _, code := range cli.ExitCodesOf(c) {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", code.Code, roff(code.Means))
	}
	return b.String()
}
