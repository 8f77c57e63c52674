package treecopy

import (
	"errors"
	"os"
	"path"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// copyEntry copies an entry that is not a directory to a free name, and returns the
// version that it copied.
func (c *Copier) copyEntry(d *dir, name string, st *stat) (*stat, error) {
	d.touched = true
	c.changed++
	var err error
	switch st.kind() {
	case unix.S_IFREG:
		return c.copyFile(d, name)
	case unix.S_IFLNK:
		var to string
		if to, err = readlinkat(d.src, name, st.Size); err != nil {
			return st, err
		}
		err = unix.Symlinkat(to, d.dst, name)
	default: // an overlay's whiteout is a device with the number 0, which needs no privilege, mknod(2)
		err = unix.Mknodat(d.dst, name, st.Mode, int(st.Rdev))
	}
	if err != nil {
		return st, target(err)
	}
	return st, c.dress(d.dst, name, d.src, name, st)
}

// recent is the age below which a change may not be on its way to the disk yet.
const recent = 2 * time.Minute

func (c *Copier) copyFile(d *dir, name string) (*stat, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	src, err := openat(d.src, name, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		src, err = openat(d.src, name, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(src)
	st, err := c.look(src, "")
	if err != nil {
		return nil, err
	}
	if st.kind() != unix.S_IFREG {
		return nil, unix.ESTALE // replaced: the next pass takes it
	}
	if time.Since(time.Unix(st.Ctim.Unix())).Abs() < recent {
		// A page that a process has mapped and changed may change again without a new
		// time, until the kernel begins to write it: sync_file_range(2) does that.
		_ = unix.SyncFileRange(src, 0, 0, unix.SYNC_FILE_RANGE_WRITE) // not on every file system
		if st, err = c.look(src, ""); err != nil {
			return nil, err
		}
	}
	dst, err := openat(d.dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, target(err)
	}
	defer unix.Close(dst)
	if err := c.content(src, dst, st); err != nil {
		return nil, err
	}
	return st, c.dress(dst, "", src, "", st)
}

// content copies a file's content: by sharing its blocks if the file system can, else its
// data without its holes.
func (c *Copier) content(src, dst int, st *stat) error {
	if st.Size == 0 {
		return nil
	}
	if !c.noClone {
		err := unix.IoctlFileClone(dst, src)
		switch {
		case err == nil:
			c.Done.Bytes.Add(st.Blocks * 512)
			return nil
		case errors.Is(err, unix.EINVAL): // not this file
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOSYS):
			c.noClone = true
		default:
			return target(err)
		}
	}
	if st.Blocks*512 >= st.Size {
		return c.span(src, dst, 0, st.Size)
	}
	for at := int64(0); at < st.Size; {
		data, err := unix.Seek(src, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole
		} else if err != nil {
			return err
		}
		end, err := unix.Seek(src, data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := c.span(src, dst, data, min(end, st.Size)); err != nil {
			return err
		}
		at = end
	}
	return target(unix.Ftruncate(dst, st.Size))
}

// piece is how much is copied between two looks at whether to go on.
const piece = 8 << 20

// span copies the bytes from at to before end.
func (c *Copier) span(src, dst int, at, end int64) error {
	for at < end {
		if c.cancel.Load() {
			return ErrCanceled
		}
		n, err := c.some(src, dst, at, min(end-at, piece))
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // it has become shorter: the next pass copies it
		}
		at += int64(n)
		c.Done.Bytes.Add(int64(n))
	}
	return nil
}

// some copies up to n bytes.
func (c *Copier) some(src, dst int, at, n int64) (int, error) {
	if n > int64(len(c.buf)) {
		from, to := at, at
		done, err := eintr.Get(func() (int, error) { return unix.CopyFileRange(src, &from, dst, &to, int(n), 0) })
		if err == nil && done > 0 {
			return done, nil
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
			return 0, target(err)
		}
	}
	buf := c.buf[:min(n, int64(len(c.buf)))]
	done, err := eintr.Get(func() (int, error) { return unix.Pread(src, buf, at) })
	if err != nil || done == 0 {
		return 0, err
	}
	for w := 0; w < done; {
		k, err := eintr.Get(func() (int, error) { return unix.Pwrite(dst, buf[w:done], at+int64(w)) })
		if err != nil {
			return 0, target(err)
		}
		w += k
	}
	return done, nil
}

// dress gives the copy owner, mode, attributes and times. A name "" means the descriptor.
func (c *Copier) dress(dst int, dstName string, src int, srcName string, st *stat) error {
	const nofollow = unix.AT_SYMLINK_NOFOLLOW
	link := st.kind() == unix.S_IFLNK
	flags := nofollow
	if dstName == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Fchownat(dst, dstName, int(st.Uid), int(st.Gid), flags); err != nil {
		return target(err)
	}
	// After the owner, because chown removes the bits for other users and the
	// capabilities.
	var err error
	switch {
	case link:
	case dstName == "":
		err = unix.Fchmod(dst, st.Mode&0o7777)
	default:
		err = unix.Fchmodat(dst, dstName, st.Mode&0o7777, 0) // no link: it was made just now
	}
	if err != nil {
		return target(err)
	}
	if err := c.attributes(file{dst, dstName}, file{src, srcName}); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if dstName == "" {
		err = unix.UtimesNanoAt(unix.AT_FDCWD, procPath(dst, ""), times, 0)
	} else {
		err = unix.UtimesNanoAt(dst, dstName, times, nofollow)
	}
	return target(err)
}

func readlinkat(at int, name string, size int64) (string, error) {
	buf := make([]byte, max(size, 64)+1)
	n, err := unix.Readlinkat(at, name, buf)
	if errors.Is(err, unix.EINVAL) || n == len(buf) {
		return "", unix.ESTALE // no link any more, or another
	}
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// procPath leads to a descriptor, or to a name in it.
func procPath(fd int, name string) string {
	return path.Join("/proc/self/fd", strconv.Itoa(fd)) + suffix(name)
}

func suffix(name string) string {
	if name == "" {
		return ""
	}
	return string(os.PathSeparator) + name
}
