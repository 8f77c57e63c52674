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
// is closed on exec, so no program that tbx starts holds it too. It is a lock for writing of
// fcntl(2), for which a file must be open to be written: the toolbox, which has the file
// read-only and waits for its end, can hold none against anybody.
type owner struct {
	file *os.File
	end  *os.File // held by who removes what is left: of what is not in the toolbox, a flock(2)
}

// What is added to the path of the lock: for the log of the toolbox's start, and for the
// lock of who removes it.
const (
	logEnding = ".log"
	endEnding = ".end"
)

// lockWhole takes the lock, or says that somebody has it.
func lockWhole(f *os.File) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	return eintr.Do(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole) })
}

// owned says whether somebody holds the lock.
func owned(f *os.File) (bool, error) {
	asked := unix.Flock_t{Type: unix.F_RDLCK} // for which those for reading, of the toolbox, are none
	err := eintr.Do(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked) })
	return asked.Type == unix.F_WRLCK, err
}

// takeOwner makes the lock path, which must be new, with content in it.
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
