package hostbridge

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// Limits of the log's files.
const (
	maxLogFile  = 10 << 20 // bytes of one file
	maxLogFiles = 5        // files that are kept, the current one included
)

// append writes a whole line or nothing. It opens the file again when another file is at
// Path, as after a rotation by another process.
func (l *AuditLog) append(line []byte) error {
	if err := l.open(); err != nil {
		return err
	}
	st, err := l.file.Stat()
	if err != nil {
		return err
	}
	if st.Size()+int64(len(line)) > maxLogFile {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.cut {
		line = append([]byte("\n"), line...)
	}
	n, err := l.file.Write(line)
	l.cut = err != nil && (n > 0 || l.cut)
	return err
}

func (l *AuditLog) open() error {
	if l.file != nil {
		have, err1 := l.file.Stat()
		want, err2 := os.Lstat(l.Path)
		if err1 == nil && err2 == nil && os.SameFile(have, want) {
			return nil
		}
		l.file.Close()
		l.file = nil
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() && st.Mode()&os.ModeCharDevice == 0 {
		f.Close()
		return errors.Join(err, errors.New("audit log "+l.Path+": not a regular file"))
	}
	l.file, l.cut = f, endsInsideLine(l.Path)
	return nil
}

// endsInsideLine reports whether the last line of the file has no newline, because its
// writer was interrupted.
func endsInsideLine(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	last := []byte{'\n'}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		f.ReadAt(last, st.Size()-1)
	}
	return last[0] != '\n'
}

// rotate renames the files under a lock, unless another process has done so meanwhile.
// Of the oldest file it keeps each toolbox's share.
func (l *AuditLog) rotate() error {
	if err := lockSoon(l.file); err != nil {
		return err
	}
	old := l.file
	defer old.Close() // drops the lock
	have, err1 := old.Stat()
	want, err2 := os.Lstat(l.Path)
	l.file = nil
	if err1 == nil && err2 == nil && os.SameFile(have, want) {
		if err := keepShares(l.Path); err != nil {
			return err
		}
		for i := maxLogFiles - 1; i > 0; i-- {
			from := l.Path
			if i > 1 {
				from = rotated(l.Path, i-1)
			}
			if err := os.Rename(from, rotated(l.Path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return l.open()
}

// lockSoon waits for the lock as long as a rotation takes, and no longer: its holder may
// be stopped.
func lockSoon(f *os.File) (err error) {
	for range 100 {
		err = eintr.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func rotated(path string, n int) string { return path + "." + strconv.Itoa(n) }
