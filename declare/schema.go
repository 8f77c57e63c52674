package declare

import (
	"fmt"
	"reflect"
	"strings"
)

// Key is one key of a declaration, for documents.
type Key struct {
	Name string // with its tables, such as toolbox.NAME.files."PATH".mode
	Type string
	Doc  string
}

// Keys lists the keys of a declaration, in the order of the types.
func Keys() []Key { return keysOf(reflect.TypeFor[document](), "") }

func keysOf(t reflect.Type, prefix string) []Key {
	var out []Key
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, keysOf(f.Type, prefix)...)
			continue
		}
		k := Key{Name: prefix + f.Tag.Get("toml"), Type: typeName(f.Type), Doc: f.Tag.Get("doc")}
		out = append(out, k)
		if f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Pointer {
			inner := "NAME"
			if f.Tag.Get("toml") == "files" {
				inner = `"PATH"`
			}
			out = append(out, keysOf(f.Type.Elem().Elem(), k.Name+"."+inner+".")...)
		}
	}
	return out
}

// typeName is what documents call a type.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Map:
		if t.Elem().Kind() == reflect.Pointer {
			return "tables"
		}
		if t.Elem().Kind() == reflect.Slice {
			return "table of lists of " + typeName(t.Elem().Elem()) + "s"
		}
		return "table of " + typeName(t.Elem()) + "s"
	case reflect.Interface:
		return "any"
	}
	return "string"
}

// Schema is the JSON Schema of a declaration, for editors that check TOML by one.
func Schema() map[string]any {
	s := schemaOf(reflect.TypeFor[document](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://tbx-project.github.io/schema/tbx-toml.json"
	s["title"] = "tbx.toml"
	s["description"] = "A declaration of toolboxes, for tbx apply."
	return s
}

func schemaOf(t reflect.Type, doc string) map[string]any {
	s := map[string]any{}
	if doc != "" {
		s["description"] = doc
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), doc)
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int64:
		s["type"] = "integer"
	case reflect.String:
		s["type"] = "string"
	case reflect.Slice:
		s["type"], s["items"] = "array", schemaOf(t.Elem(), "")
	case reflect.Map:
		s["type"], s["additionalProperties"] = "object", schemaOf(t.Elem(), "")
	case reflect.Struct:
		properties := map[string]any{}
		addProperties(properties, t)
		s["type"], s["additionalProperties"], s["properties"] = "object", false, properties
	case reflect.Interface: // anything
	default:
		panic(fmt.Sprintf("declare: no schema for %s", t)) //nolint:forbidigo // a type of this package
	}
	return s
}

func addProperties(to map[string]any, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			addProperties(to, f.Type)
			continue
		}
		to[strings.Split(f.Tag.Get("toml"), ",")[0]] = schemaOf(f.Type, f.Tag.Get("doc"))
	}
}
