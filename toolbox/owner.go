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

// owner is the lock of an ephemeral toolbox, flock(2), held by the tbx that made it. The
// descriptor is closed on exec, so no program that tbx starts holds it too.
type owner struct{ file *os.File }

// logEnding is added to the path of the lock for the log of the toolbox's start.
const logEnding = ".log"

// takeOwner makes the lock path, which must be new, with content in it.
func takeOwner(path string, content []byte) (*owner, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	o := &owner{f}
	if err := eintr.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		o.close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !o.is(path) { // another tbx took it for one that is left, and removed it
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

// orphaned returns the lock path, taken, if its owner is gone, and nil if he lives or
// somebody else is at it.
func orphaned(path string) (*owner, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return &owner{}, nil
	}
	if err != nil {
		return nil, err
	}
	o := &owner{f}
	err = eintr.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && o.is(path) {
		return o, nil
	}
	o.close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// is says whether path is still the file that is locked.
func (o *owner) is(path string) bool {
	mine, err := o.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// fresh says whether the lock was made a moment ago, so that podman may still be making
// the container for a tbx that was killed.
func (o *owner) fresh() bool {
	const moment = 2 * time.Minute
	if o.file == nil {
		return false
	}
	fi, err := o.file.Stat()
	return err == nil && time.Since(fi.ModTime()).Abs() < moment
}

func (o *owner) close() {
	if o.file != nil {
		o.file.Close()
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
