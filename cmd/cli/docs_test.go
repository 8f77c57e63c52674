package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox"
)

func TestExitCodesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := []int{
		ExitOK, ExitFailure, ExitUsage, ExitNotFound, ExitExists, ExitUnable, ExitNeedAnswer,
		toolbox.ExitFailed, toolbox.ExitDenied, toolbox.ExitNotFound, ExitInterrupt,
	}
	for _, code := range codes {
		if !strings.Contains(string(data), fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/exit-codes.md has no row for %d", code)
		}
	}
	if rows := strings.Count(string(data), "\n| ") - 1; rows != len(codes) {
		t.Errorf("docs/exit-codes.md has %d codes, want %d", rows, len(codes))
	}
}
