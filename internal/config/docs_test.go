package config_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/config"
)

// TestDocumentedKeysAreTheKeys holds docs/config.md to the configuration: every
// key with its type and default, and no other.
func TestDocumentedKeysAreTheKeys(t *testing.T) {
	data, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	tables := reflect.ValueOf(config.Default())
	for i := range tables.NumField() {
		table := tables.Type().Field(i).Tag.Get("toml")
		for j := range tables.Field(i).NumField() {
			field, value := tables.Field(i).Type().Field(j), tables.Field(i).Field(j)
			kind, def := value.Kind().String(), fmt.Sprintf("%#v", value.Interface())
			if value.Kind() == reflect.Slice {
				kind, def = "list of strings", "[]"
			}
			want[fmt.Sprintf("| `%s.%s` | %s | `%s` |", table, field.Tag.Get("toml"), kind, def)] = true
		}
	}
	for _, line := range strings.Split(string(data), "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(line, "| `") {
			row := strings.Join(cells[:3], " | ") + " |"
			if !want[row] {
				t.Errorf("docs/config.md has a row that is not true: %s", row)
			}
			delete(want, row)
		}
	}
	for row := range want {
		t.Errorf("docs/config.md lacks the row %s", row)
	}
}
