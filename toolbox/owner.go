package toolbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// owner is the lock of an ephemeral toolbox, held by the tbx that made it. The descriptor
// is closed on exec, so no child of tbx holds it too. It is a write lock of fcntl(2),
// which needs a file open for writing: the toolbox, which has the file read-only and
// waits for the lock, cannot hold one against anybody.
type owner struct {
	file *os.File
	end  *os.File // held by the tbx that removes the leftovers: a flock(2) on a file outside the toolbox
}

// Suffixes of the lock's path: for the log of the toolbox's start, and for the lock of
// the tbx that removes leftovers.
const (
	logEnding = ".log"
	endEnding = ".end"
)

// lockWhole takes the lock, or returns an error if somebody has it.
func lockWhole(f *os.File) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	return eintr.Do(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole) })
}

// owned reports whether somebody holds the lock.
func owned(f *os.File) (bool, error) {
	asked := unix.Flock_t{Type: unix.F_RDLCK} // the toolbox's read locks do not conflict with it
	err := eintr.Do(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked) })
	return asked.Type == unix.F_WRLCK, err
}

// takeOwner makes the lock path with content; it must be new.
func takeOwner(path string, content []byte) (*owner, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	o := &owner{file: f}
	if err := lockWhole(f); err != nil {
		o.close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !o.is(path) { // another tbx removed it as a leftover
		o.close()
		return nil, fmt.Errorf("%s: %w", path, os.ErrNotExist)
	}
	if _, err := f.Write(content); err != nil {
		os.Remove(path)
		o.close()
		return nil, err
	}
	return o, nil
}

// orphaned takes and returns the lock path if its owner is gone. It returns nil if the
// owner lives or another tbx has it.
func orphaned(path string) (*owner, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return &owner{}, nil
	}
	if err != nil {
		return nil, err
	}
	o := &owner{file: f}
	lives, err := owned(f)
	if err == nil && !lives {
		if o.end, err = os.OpenFile(path+endEnding, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600); err == nil {
			err = eintr.Flock(int(o.end.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
	}
	if err == nil && !lives && o.is(path) {
		if lives, err = owned(f); err == nil && !lives { // else it was made just now
			return o, nil
		}
	}
	o.close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// is reports whether path is still the locked file.
func (o *owner) is(path string) bool {
	mine, err := o.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// fresh reports whether the lock is so new that podman may still be making the container
// for a killed tbx.
func (o *owner) fresh() bool {
	const moment = 2 * time.Minute
	if o.file == nil {
		return false
	}
	fi, err := o.file.Stat()
	return err == nil && time.Since(fi.ModTime()).Abs() < moment
}

func (o *owner) close() {
	for _, f := range []*os.File{o.file, o.end} {
		if f != nil {
			f.Close()
		}
	}
}

// readOwner returns the specification in a lock, or nil.
func readOwner(path string) *Spec {
	data, err := os.ReadFile(path)
	s := &Spec{}
	if err != nil || json.Unmarshal(data, s) != nil {
		return nil
	}
	return s
}
