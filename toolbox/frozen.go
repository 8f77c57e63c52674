package toolbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox/join"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// While a snapshot is finished, the toolbox stands still: tbx freezes its cgroup without
// podman's knowledge. A file records that, and is locked meanwhile. If the file is not
// locked, the tbx that froze the toolbox was killed.

type frozenMark struct {
	lock *flock.Lock
	path string
}

func (m *Manager) frozenFile(id string) string {
	return filepath.Join(m.Host.TbxRuntime(), "locks", ".frozen-"+id)
}

// markFrozen records that the container is about to be frozen.
func (m *Manager) markFrozen(id, cgroup string) (*frozenMark, error) {
	path := m.frozenFile(id)
	lock, err := flock.Try(path)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(cgroup), 0o600); err != nil {
		lock.Close()
		return nil, err
	}
	return &frozenMark{lock, path}, nil
}

// end records that it is not frozen any more.
func (f *frozenMark) end() {
	_ = os.Truncate(f.path, 0) // its content is then thawed again, which does no harm
	f.lock.Close()
}

// frozenAtMost bounds the time that a toolbox stands still for a snapshot, with the
// preparation.
const frozenAtMost = 60 * time.Second

// thawed waits until no snapshot holds the container still, and thaws it if the tbx that
// froze it was killed. It reports whether the caller may try again.
func (m *Manager) thawed(ctx context.Context, id string) bool {
	path := m.frozenFile(id)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, frozenAtMost)
	defer cancel()
	busy, err := flock.Try(path)
	waited := err != nil
	if waited {
		if busy, err = flock.Wait(ctx, path); err != nil {
			return false
		}
	}
	defer busy.Close()
	cgroup, err := os.ReadFile(path)
	if err != nil || len(cgroup) == 0 {
		return waited
	}
	if err := treecopy.Thaw(string(cgroup)); err != nil {
		m.debug("container %.12s cannot be thawed: %v", id, err)
		return waited
	}
	_ = os.Truncate(path, 0) // else it would be thawed again
	return true
}

// cgroupDir returns the directory of the cgroup with all processes of a toolbox, or "" if
// it has no cgroup of its own.
func (m *Manager) cgroupDir(b *Box) string {
	s, err := m.state(b)
	if err != nil {
		return ""
	}
	if has, err := s.HasCgroup(); err != nil || !has {
		return ""
	}
	dir, err := join.UnitDir(b.PID)
	if err != nil || !strings.Contains(dir, b.ID) { // not one that it shares
		return ""
	}
	return dir
}
