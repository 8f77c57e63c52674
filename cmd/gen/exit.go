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
	names := map[cli.ExitGroup]string{
		cli.ExitSession: "`run`, `enter`, `host-exec`", cli.ExitHost: "`host`", cli.ExitPolicyTest: "`policy test`",
	}
	switch {
	case len(groups) == 4:
		return "all"
	case slices.Contains(groups, cli.ExitGeneral) && len(groups) == 3:
		return "all but " + names[cli.ExitSession]
	case slices.Contains(groups, cli.ExitGeneral) && len(groups) == 2:
		return "all but " + names[cli.ExitSession] + ", " + names[cli.ExitPolicyTest]
	case slices.Contains(groups, cli.ExitGeneral):
		return "all but " + names[cli.ExitSession] + ", " + names[cli.ExitPolicyTest] + ", " + names[cli.ExitHost]
	}
	return names[groups[0]]
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
