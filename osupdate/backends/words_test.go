package backends_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/bootc"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
)

// TestH87_ImageForContainers: an image without the label of hosts is not found as one.
// The words are those of ostree-rs-ext, which bootc and rpm-ostree have in them.
func TestH87_ImageForContainers(t *testing.T) {
	for name, explain := range map[string]func(*osupdate.ToolError) error{
		"bootc": (&bootc.Backend{}).Explain, "rpm-ostree": (&rpmostree.Backend{}).Explain,
	} {
		err := explain(&osupdate.ToolError{Argv: []string{name}, Code: 1, Stderr: "error: Target image does not have ostree.bootable label\n"})
		if !errors.Is(err, osupdate.ErrNotFound) || !strings.Contains(err.Error(), "is not a host system") || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
