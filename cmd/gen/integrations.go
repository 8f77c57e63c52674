package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/toolbox/integration"
)

// integrationTables are the documents with a table of integrations.
func integrationTables() map[string]func() string {
	return map[string]func() string{"docs/integrations.md": integrationTable, "docs/environment.md": variableTable}
}

var pathInText = regexp.MustCompile(`(^| )(/[a-z0-9/]+)`)

// integrationTable is the table of docs/integrations.md.
func integrationTable() string {
	var b strings.Builder
	b.WriteString("| key | what | how |\n|---|---|---|\n")
	for _, i := range integration.All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", i.Key, pathInText.ReplaceAllString(i.What, "$1`$2`"), i.How)
	}
	return b.String()
}

// variableTable is the table of docs/environment.md.
func variableTable() string {
	var b strings.Builder
	b.WriteString("| integration | variables |\n|---|---|\n")
	for _, i := range integration.All() {
		if len(i.Variables) > 0 {
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", i.Key, strings.Join(i.Variables, "`, `"))
		}
	}
	fmt.Fprintf(&b, "| `%s` | everything else |\n", integration.Environment)
	return b.String()
}
