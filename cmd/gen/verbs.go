package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/osupdate"
)

// verbSchemas are the schemas, docs/schema/NAME.json, in which a request has a verb.
func verbSchemas() []string { return []string{"host-result", "host-history", "host-status"} }

// verbList is the list of verbs in a schema: where it begins, and how far it is indented.
var verbList = regexp.MustCompile(`("verb": \{\n *"enum": \[\n)( *)[^\]]*?\n( *\])`)

// writeVerbs writes the verbs of the table into the schemas below dir.
func writeVerbs(dir string) error {
	var words []string
	for _, row := range osupdate.Table() {
		words = append(words, fmt.Sprintf("%q", row.Verb))
	}
	for _, name := range verbSchemas() {
		path := filepath.Join(dir, "docs/schema", name+".json")
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := verbList.FindSubmatch(data)
		if at == nil {
			return fmt.Errorf("%s has no list of verbs", path)
		}
		list := string(at[2]) + strings.Join(words, ",\n"+string(at[2]))
		data = verbList.ReplaceAll(data, []byte("${1}"+list+"\n${3}"))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
