package ostreefamily

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/osupdate"
)

// EtcConflicts are the paths below /etc of the running system that ostree cannot merge
// with the system that is staged: it merges them at the shutdown, and then the machine
// boots the old system. They are those that ostree-sysroot-deploy.c refuses: a file that
// was changed here and is a directory there, and something changed in a directory that
// is a file there. It reads only, and is silent about what may not be read.
func EtcConflicts(root, sysroot string, s *osupdate.State) []string {
	booted := s.Booted()
	at := slices.IndexFunc(s.Deployments, func(d osupdate.Deployment) bool { return d.Staged })
	if booted == nil || at < 0 {
		return nil
	}
	old, staged := defaults(sysroot, booted), defaults(sysroot, &s.Deployments[at])
	if old == "" || staged == "" {
		return nil
	}
	m := merge{etc: filepath.Join(root, "etc"), old: old, staged: staged}
	_ = filepath.WalkDir(m.etc, m.look) // look returns no error of its own
	return m.conflicts
}

// defaults is the directory usr/etc of a deployment; empty where it is not there.
func defaults(sysroot string, d *osupdate.Deployment) string {
	stateroot, name, ok := cutID(d.ID)
	dir := filepath.Join(sysroot, "ostree/deploy", stateroot, "deploy", name, "usr/etc")
	if _, err := os.Stat(dir); !ok || err != nil {
		return ""
	}
	return dir
}

// merge compares three directories.
type merge struct {
	etc, old, staged string
	conflicts        []string
}

// look is called for each path below /etc. What was added as a directory is copied as
// a whole, so that nothing below it can be in the way.
func (m *merge) look(path string, here fs.DirEntry, err error) error {
	if err != nil || path == m.etc {
		return nil // what may not be read is for root to look at
	}
	name, err := filepath.Rel(m.etc, path)
	if err != nil {
		return nil
	}
	was, there := mode(filepath.Join(m.old, name)), mode(filepath.Join(m.staged, name))
	kind := here.Type()
	switch {
	case kind.IsDir() && was.IsDir() && there != missing && !there.IsDir():
		if m.changedBelow(name) {
			m.conflicts = append(m.conflicts, name)
		}
		return fs.SkipDir
	case kind.IsDir() && !was.IsDir():
		return fs.SkipDir
	case !kind.IsDir() && there.IsDir() && !same(path, filepath.Join(m.old, name)):
		m.conflicts = append(m.conflicts, name)
	}
	return nil
}

// changedBelow says whether anything below a directory of /etc differs from its default.
func (m *merge) changedBelow(dir string) bool {
	found := errors.New("found")
	err := filepath.WalkDir(filepath.Join(m.etc, dir), func(path string, here fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(m.etc, path)
		if err != nil || relErr != nil || name == dir {
			return nil
		}
		if was := mode(filepath.Join(m.old, name)); was.Type() != here.Type() || !here.IsDir() && !same(path, filepath.Join(m.old, name)) {
			return found
		}
		return nil
	})
	return errors.Is(err, found)
}

// missing is the mode of what is not there.
const missing = fs.ModeIrregular

func mode(path string) fs.FileMode {
	fi, err := os.Lstat(path)
	if err != nil {
		return missing
	}
	return fi.Mode()
}

// same says whether two files have the same kind, mode, owner and content, as ostree
// compares them. A file that cannot be read differs.
func same(a, b string) bool {
	var x, y unix.Stat_t
	if unix.Lstat(a, &x) != nil || unix.Lstat(b, &y) != nil || x.Mode != y.Mode || x.Uid != y.Uid || x.Gid != y.Gid || x.Size != y.Size {
		return false
	}
	if x.Mode&unix.S_IFMT == unix.S_IFLNK {
		to, errA := os.Readlink(a)
		was, errB := os.Readlink(b)
		return errA == nil && errB == nil && to == was
	}
	now, errA := os.ReadFile(a)
	before, errB := os.ReadFile(b)
	return errA == nil && errB == nil && bytes.Equal(now, before)
}
