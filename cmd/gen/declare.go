package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/declare"
)

// declarationSchema is where the schema of declarations is, below the top.
const declarationSchema = "docs/schema/tbx-toml.json"

// declarationTables is the document with a table of a declaration's keys.
func declarationTables() map[string]func() string {
	return map[string]func() string{"docs/apply.md": declarationTable}
}

func declarationTable() string {
	var b strings.Builder
	b.WriteString("| key | type | what it is |\n|---|---|---|\n")
	for _, k := range declare.Keys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, k.Type, strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	return b.String()
}

// schemaText is the schema of declarations as it is written.
func schemaText() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(declare.Schema())
	return b.Bytes(), err
}

func writeSchema(root string) error {
	text, err := schemaText()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, declarationSchema), text, 0o644)
}
