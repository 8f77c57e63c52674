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
	_, codes, _ := strings.Cut(string(data), "\n## Exit codes\n")
	if rows := strings.Count(codes, "\n| ") - 1; rows != len(osupdate.Problems())+1 { // without the head
		t.Errorf("docs/host-json.md has %d codes, want %d and 77", rows, len(osupdate.Problems()))
	}
}
