package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// TestExitCodesAreAsDocumented holds docs/exit-codes.md and the switch to each other.
func TestExitCodesAreAsDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		err           error
		code, session int
	}{
		{nil, 0, 0},
		{errors.New("plain"), 1, 125},
		{fail.New(fail.Usage, "x"), 2, 125},
		{fail.New(fail.NotFound, "x"), 3, 125},
		{fail.New(fail.Exists, "x"), 4, 125},
		{fail.New(fail.Unable, "x"), 5, 125},
		{fail.New(fail.NeedAnswer, "x"), 6, 125},
		{fail.New(fail.Canceled, "x"), 130, 130},
		{&toolbox.ExitError{Code: toolbox.ExitDenied}, 126, 126},
		{&toolbox.ExitError{Code: toolbox.ExitNotFound}, 127, 127},
		{errors.Join(fail.New(fail.Exists, "x"), fail.New(fail.NotFound, "x")), 3, 125},
	} {
		for session, want := range map[bool]int{false: tc.code, true: tc.session} {
			if got := exitCode(tc.err, session); got != want {
				t.Errorf("%v, session %v: exit code %d, want %d", tc.err, session, got, want)
			}
			if row := fmt.Sprintf("\n| %d | ", want); !strings.Contains(string(data), row) {
				t.Errorf("docs/exit-codes.md has no row for %d", want)
			}
		}
	}
}
