package auto_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// TestPage holds docs/auto.md and docs/fleet.md to the states and the settings of the code.
func TestPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/auto.md")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, s := range machine.States() {
		to := make([]string, 0, len(machine.States()))
		for _, w := range machine.Ways()[s] {
			to = append(to, string(w))
		}
		if row := fmt.Sprintf("| %s | %s |\n", s, strings.Join(to, ", ")); !strings.Contains(page, row) {
			t.Errorf("docs/auto.md lacks %s", row)
		}
	}
	_, values, err := auto.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		page, key, is := page, "`"+v.Key+"`", fmt.Sprintf("`%v`", v.Value)
		name, ofFleet := strings.CutPrefix(v.Key, "fleet.")
		if ofFleet {
			page, key = string(fleet), "`"+name+"`"
		}
		switch value := reflect.ValueOf(v.Value); {
		case v.Key == "window":
			key, is = "`[[auto.window]]`", "none"
		case value.Kind() == reflect.String && value.Len() > 0:
			is = fmt.Sprintf("`%q`", value.String())
		case value.Kind() == reflect.String && (ofFleet || v.Key == "metrics"):
			is = "none"
		case value.Kind() == reflect.String:
			is = "the machine's"
		}
		if row := "| " + key + " | " + is + " | "; !strings.Contains(page, row) {
			t.Errorf("the page lacks %s", row)
		}
	}
}
