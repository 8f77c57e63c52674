package toolbox

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// D9: a home that is mounted noexec is said before podman makes a toolbox that cannot
// start.
func TestD9_Noexec(t *testing.T) {
	var st unix.Statfs_t
	if err := unix.Statfs("/proc/self", &st); err != nil || st.Flags&unix.ST_NOEXEC == 0 {
		t.Skip("/proc is not mounted noexec here")
	}
	if err := executable("/proc/self"); !errors.Is(err, fail.Unable) || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
	if err := executable(t.TempDir()); err != nil {
		t.Errorf("a place where tests run: %v", err)
	}
	if err := executable("/nonexistent"); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}
