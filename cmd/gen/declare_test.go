package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tbx-project/tbx/declare"
)

func TestSchemaOfDeclarations(t *testing.T) {
	want, err := schemaText()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(root + "/" + declarationSchema)
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is not what the code says (%v); run: go generate ./cmd/gen", declarationSchema, err)
	}
	for _, k := range declare.Keys() {
		if k.Doc == "" {
			t.Errorf("nothing is said of key %s", k.Name)
		}
	}
}

// The examples of the page are declarations, for the parser and for the schema.
func TestExamplesOfDeclarations(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/apply.md")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(root + "/" + declarationSchema)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) < 2 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, e := range examples {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/gitconfig", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := declare.Parse(dir+"/tbx.toml", e[1], declare.Caller{Home: "/home/me", User: "me"}); err != nil {
			t.Errorf("%v\n%s", err, e[1])
		}
		var v map[string]any
		if err := toml.Unmarshal(e[1], &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, e[1])
		}
	}
}
