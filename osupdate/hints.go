package osupdate

import (
	"errors"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// possible removes from err the hints that name a verb which this updater does not have.
func (h *Host) possible(err error) error {
	var e *fail.Error
	if !errors.As(err, &e) {
		return err
	}
	lacks := h.be.Capabilities().Lacks
	e.Hints = slices.DeleteFunc(e.Hints, func(hint string) bool {
		for _, row := range Table() {
			_, gone := lacks[Capability(row.Verb)]
			if gone && row.Help.Command != "" && strings.Contains(hint, "tbx host "+row.Help.Command) {
				return true
			}
		}
		return false
	})
	if len(e.Hints) == 0 {
		e.Hint("see what this host has: tbx host status")
	}
	return err
}
