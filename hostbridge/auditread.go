package hostbridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// AuditFilter chooses lines of the log.
type AuditFilter struct {
	Box    string // only this toolbox's
	Denied bool   // only requests that were not allowed
}

func (f AuditFilter) wants(r AuditEntry) bool {
	return (f.Box == "" || r.Box == f.Box) &&
		(!f.Denied || r.refused())
}

// ReadAudit calls each for every wanted entry of the log at path, the oldest file first.
// With follow it then waits for further entries until ctx ends. It skips lines that are
// not entries: a full disk may have cut them.
func ReadAudit(ctx context.Context, path string, f AuditFilter, follow bool, each func(AuditEntry) error) error {
	if err := readOlder(path, f, each); err != nil {
		return err
	}
	var watch *os.File
	if follow { // before the first look, so that nothing comes between
		var err error
		if watch, err = watchDir(filepath.Dir(path), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
			return err
		}
		defer watch.Close()
		defer context.AfterFunc(ctx, func() { watch.SetReadDeadline(time.Unix(1, 0)) })()
	}
	file, err := openLog(path)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if file != nil {
		defer func() { file.Close() }()
	}
	var offset int64
	for {
		if file != nil {
			n, err := readLines(io.NewSectionReader(file, offset, 1<<62), f, each)
			if offset += n; err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		if _, err := watch.Read(make([]byte, 4096)); err != nil {
			return nil // ctx has ended
		}
		if now, err := openLog(path); err == nil {
			if file != nil && sameFile(file, now) {
				now.Close()
				continue
			}
			if file != nil {
				if _, err := readLines(io.NewSectionReader(file, offset, 1<<62), f, each); err != nil {
					return err
				}
				file.Close()
			}
			file, offset = now, 0
		}
	}
}

// readOlder reads the rotated files.
func readOlder(path string, f AuditFilter, each func(AuditEntry) error) error {
	names := []string{kept(path)}
	for i := maxLogFiles - 1; i > 0; i-- {
		names = append(names, rotated(path, i))
	}
	for _, name := range names {
		file, err := openLog(name)
		if err != nil {
			continue
		}
		_, err = readLines(file, f, each)
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// openLog never blocks: a toolbox that shares the home may have put a FIFO there.
func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

func sameFile(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// readLines returns how many bytes of whole lines it has read.
func readLines(r io.Reader, f AuditFilter, each func(AuditEntry) error) (int64, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	var done int64
	for {
		line, err := br.ReadBytes('\n')
		if err != nil { // a line that is still being written waits
			return done, nil
		}
		done += int64(len(line))
		var rec AuditEntry
		if json.Unmarshal(line, &rec) != nil || !f.wants(rec) {
			continue
		}
		if err := each(rec); err != nil {
			return done, err
		}
	}
}

// watchDir returns a file that becomes readable when one of these events, inotify(7),
// happens in dir.
func watchDir(dir string, events uint32) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}
