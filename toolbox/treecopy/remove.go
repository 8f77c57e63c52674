package treecopy

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Remove removes a tree of any depth, following no link. It is no error if it is missing.
func Remove(dir string) error {
	parent, err := openDir(unix.AT_FDCWD, filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return removeAt(parent, filepath.Base(dir))
}

func removeAt(parent int, name string) error {
	err := unix.Unlinkat(parent, name, 0)
	if !errors.Is(err, unix.EISDIR) {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	fd, err := openDir(parent, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := empty(fd); err != nil {
		return err
	}
	return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
}

// clear makes a name of the copy free.
func (c *Copier) clear(d *dir, name string) error {
	if d.fresh {
		return nil
	}
	err := unix.Unlinkat(d.dst, name, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EISDIR):
		c.dropped++
		if err = unix.Renameat(d.dst, name, c.trash, strconv.Itoa(c.dropped)); err == nil {
			err = empty(c.trash)
		}
	}
	d.touched = true
	c.changed++
	return target(err)
}

// removeGone removes from the copy what the source does not have any more.
func (c *Copier) removeGone(d *dir) error {
	return eachName(d.dst, func(name string) error {
		var st unix.Stat_t
		err := unix.Fstatat(d.src, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			return c.clear(d, name)
		}
		return err
	})
}

// empty removes everything in a directory. It moves deep directories up piece by piece,
// so that neither descriptors nor paths grow with the depth.
func empty(fd int) error {
	moved := 0
	for {
		found := false
		err := eachName(fd, func(name string) error {
			found = true
			err := unix.Unlinkat(fd, name, 0)
			if !errors.Is(err, unix.EISDIR) {
				return err
			}
			return flatten(fd, name, &moved)
		})
		if err != nil || !found {
			return target(err)
		}
	}
}

// flatten removes a directory. Directories in it that are not empty become the upper
// one's.
func flatten(fd int, name string, moved *int) error {
	err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	sub, err := openDir(fd, name)
	if err != nil {
		return err
	}
	defer unix.Close(sub)
	err = eachName(sub, func(inner string) error {
		err := unix.Unlinkat(sub, inner, 0)
		if errors.Is(err, unix.EISDIR) {
			err = unix.Unlinkat(sub, inner, unix.AT_REMOVEDIR)
		}
		if !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
		for {
			*moved++
			err := unix.Renameat2(sub, inner, fd, ".tbx-"+strconv.Itoa(*moved), unix.RENAME_NOREPLACE)
			if !errors.Is(err, unix.EEXIST) {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
}

// eachName calls do for every name in a directory, whose content do may change.
func eachName(fd int, do func(name string) error) error {
	fd, err := again(fd)
	if err != nil {
		return err
	}
	list := os.NewFile(uintptr(fd), "") // closes fd
	defer list.Close()
	for {
		names, rerr := list.Readdirnames(chunk)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if errors.Is(rerr, io.EOF) {
			return nil
		} else if rerr != nil {
			return rerr
		}
	}
}
