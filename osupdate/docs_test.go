package osupdate_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

func TestExitCodesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/host-json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range osupdate.Problems() {
		if !strings.Contains(string(data), fmt.Sprintf("\n| %d | %s | ", p.Exit, p.Name)) {
			t.Errorf("docs/host-json.md has no row for %d, %s", p.Exit, p.Name)
		}
		if osupdate.ProblemNamed(p.Name) != p {
			t.Errorf("two kinds are called %q", p.Name)
		}
	}
	if rows := strings.Count(string(data), "\n| ") - 2 - 7; rows != len(osupdate.Problems())+1 {
		t.Errorf("docs/host-json.md has %d codes, want %d and 77", rows, len(osupdate.Problems()))
	}
}
