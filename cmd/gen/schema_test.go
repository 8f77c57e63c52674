package main

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// object is the part of a JSON schema that lists the members of an object.
type object struct {
	Properties map[string]json.RawMessage `json:"properties"`
	Items      *object                    `json:"items"`
	Defs       map[string]object          `json:"$defs"`
}

// at follows a path of members and definitions.
func (o object) at(t *testing.T, path ...string) object {
	t.Helper()
	for _, name := range path {
		if def, ok := o.Defs[name]; ok {
			o = def
			continue
		}
		var next object
		if err := json.Unmarshal(o.Properties[name], &next); err != nil {
			t.Fatalf("no member %s: %v", name, err)
		}
		o = next
	}
	return o
}

// members are the names of the JSON members of a struct.
func members(v any) []string {
	var out []string
	for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// status is what `tbx host status` prints.
type status struct {
	osupdate.Status
	Auto *auto.View `json:"auto"`
}

// TestHostSchemas: the schemas of `tbx host` have the members that the types have.
func TestHostSchemas(t *testing.T) {
	for _, c := range []struct {
		schema string
		path   []string
		v      any
	}{
		{"host-status", nil, status{}}, {"host-auto", nil, auto.View{}}, {"host-auto", []string{"record"}, machine.Record{}},
		{"host-auto", []string{"release"}, machine.Release{}}, {"host-status", []string{"state"}, osupdate.State{}}, {"host-status", []string{"state", "boot"}, osupdate.Boot{}},
		{"host-status", []string{"state", "driver"}, osupdate.Driver{}}, {"host-status", []string{"deployment"}, osupdate.Deployment{}},
		{"host-status", []string{"changes"}, osupdate.Changes{}}, {"host-status", []string{"image"}, osupdate.Image{}}, {"host-status", []string{"entry"}, osupdate.Entry{}},
		{"host-result", nil, osupdate.Result{}}, {"host-result", []string{"plan"}, osupdate.Plan{}}, {"host-result", []string{"deployment"}, osupdate.Deployment{}},
		{"host-result", []string{"request"}, osupdate.Request{}}, {"host-history", []string{"entry"}, osupdate.Entry{}},
		{"host-history", []string{"request"}, osupdate.Request{}}, {"host-check", nil, osupdate.Checked{}},
	} {
		data, err := os.ReadFile(root + "/docs/schema/" + c.schema + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var doc object
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name := range doc.at(t, c.path...).Properties {
			got = append(got, name)
		}
		slices.Sort(got)
		if want := members(c.v); !slices.Equal(got, want) {
			t.Errorf("docs/schema/%s.json %q has %q, the type has %q", c.schema, c.path, got, want)
		}
	}
}

// TestVerbsInSchemas: a request's verb is one of the table's.
func TestVerbsInSchemas(t *testing.T) {
	var want []string
	for _, row := range osupdate.Table() {
		want = append(want, string(row.Verb))
	}
	for _, name := range verbSchemas() {
		data, err := os.ReadFile(root + "/docs/schema/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var doc object
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		var verb struct {
			Enum []string `json:"enum"`
		}
		if err := json.Unmarshal(doc.at(t, "request").Properties["verb"], &verb); err != nil || !slices.Equal(verb.Enum, want) {
			t.Errorf("docs/schema/%s.json has the verbs %q, the table %q, %v", name, verb.Enum, want, err)
		}
	}
}
