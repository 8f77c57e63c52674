package boxinit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The initialiser is root, and an image's files may be anything: a FIFO without a writer,
// a gigabyte of zeros, a link into the user's home. It reads and writes them only through
// the functions of this file.

// maxRead is the largest size, in bytes, of a file of an image that is read.
const maxRead = 16 << 20

// read returns the content of the regular file p, which is not behind a link.
func (b *box) read(p string) ([]byte, error) { return b.readFile(p, unix.O_NOFOLLOW) }

// readThrough is read for a file that may be a link.
func (b *box) readThrough(p string) ([]byte, error) { return b.readFile(p, 0) }

func (b *box) readFile(p string, flags int) ([]byte, error) {
	f, err := b.openRegular(p, unix.O_RDONLY|flags)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRead+1))
	if err == nil && len(data) > maxRead {
		err = fmt.Errorf("%s is larger than %d MiB, and left as it is", p, maxRead>>20)
	}
	return data, err
}

func (b *box) openRegular(p string, flags int) (*os.File, error) {
	f, err := os.OpenFile(b.root+p, flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link, and not followed", p)
	case errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("%s is not a regular file, and left as it is", p)
	case err != nil:
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s is not a regular file, and left as it is", p)
	}
	return f, nil
}

// create makes the file p, replacing anything except a directory.
func (b *box) create(p string, data []byte, mode os.FileMode) error {
	if err := b.own(filepath.Dir(p)); err != nil {
		return err
	}
	if err := os.Remove(b.root + p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(b.root+p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Close()) // whatever the umask is
}

// overwrite puts data into the regular file p, which stays the same file.
func (b *box) overwrite(p string, data []byte) error {
	f, err := b.openRegular(p, unix.O_WRONLY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Close())
}

// own fails if a symlink in the image leads path to another file system, because writing
// there would change the host or a volume. A missing path is fine.
func (b *box) own(dir string) error {
	real, err := filepath.EvalSymlinks(b.root + dir)
	if err != nil || real == b.root+dir {
		return nil
	}
	there, err1 := os.Stat(real)
	root, err2 := os.Stat(b.root + "/")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if there.Sys().(*syscall.Stat_t).Dev != root.Sys().(*syscall.Stat_t).Dev {
		return fmt.Errorf("%s leads to %s, which is not the image's own", dir, strings.TrimPrefix(real, b.root))
	}
	return nil
}
