package atomicfile

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stream makes the file path from the output of write, which may be long: the name
// appears only when all of it is on the disk. A killed process leaves nothing if the file
// system has unnamed files, open(2); otherwise it leaves .NAME.tbx-part, which the next
// call for path takes over. With replace an existing file is replaced; without, it is an
// error that wraps fs.ErrExist.
func Stream(path string, replace bool, write func(io.Writer) error) (err error) {
	if _, serr := os.Lstat(path); serr == nil && !replace {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	dir := filepath.Dir(path)
	part := filepath.Join(dir, "."+filepath.Base(path)+".tbx-part")
	const perm = 0o600 // nobody else may see its content
	f, err := os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, perm)
	named := errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL)
	if named {
		f, err = os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, perm)
	}
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil && named {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return err
	}
	if !named {
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		file := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
		if err := unix.Linkat(unix.AT_FDCWD, file, unix.AT_FDCWD, part, unix.AT_SYMLINK_FOLLOW); err != nil {
			return &fs.PathError{Op: "link", Path: part, Err: err}
		}
		named = true
	}
	if replace {
		err = os.Rename(part, path)
	} else {
		err = unix.Renameat2(unix.AT_FDCWD, part, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not on this file system
			err = os.Rename(part, path)
		}
	}
	if err != nil {
		return err
	}
	named = false // it has its name
	return syncDir(dir)
}
