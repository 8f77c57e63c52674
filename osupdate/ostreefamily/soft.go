package ostreefamily

import (
	"context"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// SoftReboot is the step that prepares a soft reboot into what boots next; ostree
// itself refuses a system with another kernel.
func SoftReboot(ctx context.Context, t *osupdate.Tools, s *osupdate.State) (*osupdate.Step, error) {
	argv, err := Admin(t, "--help")
	if err != nil {
		return nil, err
	}
	out, _, err := t.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(out), "prepare-soft-reboot") {
		return nil, fail.New(osupdate.ErrUnsupported, "this ostree cannot prepare a soft reboot, 2025.3 and newer can").
			Hint("restart the machine: tbx host reboot")
	}
	next := s.Next()
	argv, err = Admin(t, "prepare-soft-reboot")
	return &osupdate.Step{Argv: append(argv, strconv.Itoa(next.Index)), Effect: "prepare a soft reboot into " + s.Label(next)}, err
}
