package treecopy

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// dir is one directory of the source with its copy.
type dir struct {
	src, dst int // -1 while below something deep
	stat     *stat
	dstIno   uint64
	fresh    bool // the copy was made in this pass: nothing is in it
	touched  bool // the copy was changed in this pass
	depth    int
}

// heldDepth is the number of directories on the way down that stay open. Deeper ones are
// opened again by "..", so that a tree may have any depth.
const heldDepth = 200

// errMoved means that a directory is no longer where it was.
var errMoved = errors.New("a directory was moved while it was copied")

// chunk is the number of names read from a directory at once.
const chunk = 1024

// walk updates the copy of one directory and of everything below it.
func (c *Copier) walk(d *dir) error {
	unchanged := !d.fresh && c.has(c.entryKey(0, "", d.stat))
	below, err := c.entries(d)
	if err != nil {
		return err
	}
	if !d.fresh && !unchanged {
		if err := c.removeGone(d); err != nil {
			return err
		}
	}
	for _, name := range below {
		err := c.subdir(d, name)
		switch {
		case err == nil:
		case errors.Is(err, errMoved) && d.depth >= heldDepth:
			return err // nobody knows where d is now
		case errors.Is(err, errMoved):
			c.changed++ // the next pass takes it
		default:
			return failed(name, err)
		}
	}
	if d.touched || !unchanged {
		if err := c.dress(d.dst, "", d.src, "", d.stat); err != nil {
			return err
		}
		c.changed++
	}
	c.remember(c.entryKey(0, "", d.stat), d.stat)
	return nil
}

// entries copies the entries of a directory except directories, whose names it returns.
func (c *Copier) entries(d *dir) (dirs []string, err error) {
	err = eachName(d.src, func(name string) error {
		if c.cancel.Load() {
			return ErrCanceled
		}
		st, err := c.look(d.src, name)
		if err == nil {
			if st.kind() == unix.S_IFDIR {
				dirs = append(dirs, name)
				return nil
			}
			err = c.entry(d, name, st)
		}
		if gone(err) {
			c.changed++
			return nil
		}
		if err != nil {
			return failed(name, err)
		}
		c.Done.Entries.Add(1)
		return nil
	})
	return dirs, err
}

// entry updates the copy of an entry that is not a directory.
func (c *Copier) entry(d *dir, name string, st *stat) error {
	key := c.entryKey(d.stat.Ino, name, st)
	if st.Nlink > 1 {
		if v, ok := c.versions[st.Ino]; ok && v == st.version && !d.fresh && c.has(key) {
			c.next[key] = struct{}{}
			return nil
		}
		return c.linked(d, name, st)
	}
	if !d.fresh && c.has(key) {
		c.next[key] = struct{}{}
		return nil
	}
	if err := c.clear(d, name); err != nil {
		return err
	}
	now, err := c.copyEntry(d, name, st)
	if err != nil {
		return err
	}
	c.remember(c.entryKey(d.stat.Ino, name, now), now)
	return nil
}

// linked copies a file with several names, or links this name to its copy.
func (c *Copier) linked(d *dir, name string, st *stat) error {
	if err := c.clear(d, name); err != nil {
		return err
	}
	id := strconv.FormatUint(st.Ino, 10)
	if v, ok := c.versions[st.Ino]; ok && v == st.version {
		if err := unix.Linkat(c.links, id, d.dst, name, 0); err != nil {
			return target(err)
		}
		d.touched = true
		c.changed++
		if !c.unsure[st.Ino] {
			c.remember(c.entryKey(d.stat.Ino, name, st), st)
		}
		return nil
	}
	now, err := c.copyEntry(d, name, st)
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(c.links, id, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return target(err)
	}
	if err := unix.Linkat(d.dst, name, c.links, id, 0); err != nil {
		return target(err)
	}
	if now.Ino != st.Ino {
		delete(c.versions, st.Ino) // replaced meanwhile: the next pass copies all its names
		return nil
	}
	c.versions[st.Ino] = now.version
	if !now.certain {
		c.unsure[st.Ino] = true
	}
	c.remember(c.entryKey(d.stat.Ino, name, now), now)
	return nil
}

// subdir updates the copy of a directory below d.
func (c *Copier) subdir(d *dir, name string) error {
	src, err := openDir(d.src, name)
	if gone(err) {
		c.changed++
		return nil
	} else if err != nil {
		return err
	}
	below := &dir{src: src, dst: -1, depth: d.depth + 1}
	defer func() { below.close() }()
	if below.stat, err = c.look(src, ""); err != nil {
		return err
	}
	place := c.hash(name, d.stat.Ino, below.stat.Ino, 0)
	if below.fresh = d.fresh || !c.has(place); below.fresh {
		if err := c.clear(d, name); err != nil {
			return err
		}
		d.touched = true
		if err := unix.Mkdirat(d.dst, name, 0o700); err != nil {
			return target(err)
		}
	}
	if below.dst, err = openDir(d.dst, name); err != nil {
		return target(err)
	}
	if d.depth >= heldDepth {
		if err := d.leave(); err != nil {
			return err
		}
	}
	if err := c.walk(below); err != nil {
		return err
	}
	c.next[place] = struct{}{}
	c.Done.Entries.Add(1)
	if d.depth >= heldDepth {
		return d.back(below)
	}
	return nil
}

// leave closes a directory whose subdirectory is open.
func (d *dir) leave() error {
	var st unix.Stat_t
	if err := unix.Fstat(d.dst, &st); err != nil {
		return target(err)
	}
	d.dstIno = st.Ino
	d.close()
	return nil
}

// back opens a directory again from below.
func (d *dir) back(below *dir) (err error) {
	var src, dst unix.Stat_t
	if d.src, err = openDir(below.src, ".."); err != nil {
		return err
	}
	if d.dst, err = openDir(below.dst, ".."); err != nil {
		return target(err)
	}
	if err := errors.Join(unix.Fstat(d.src, &src), unix.Fstat(d.dst, &dst)); err != nil {
		return err
	}
	if src.Ino != d.stat.Ino || src.Dev != d.stat.Dev || dst.Ino != d.dstIno {
		return errMoved
	}
	return nil
}

func (d *dir) close() {
	for _, fd := range []int{d.src, d.dst} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	d.src, d.dst = -1, -1
}

// openDir opens a directory, behind no link.
func openDir(at int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := openat(at, name, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // not one's own
		fd, err = openat(at, name, flags, 0)
	}
	return fd, err
}

// again opens a directory again, to read it from its beginning.
func again(fd int) (int, error) { return openDir(fd, ".") }

func openat(at int, name string, flags int, mode uint32) (int, error) {
	return eintr.Get(func() (int, error) { return unix.Openat(at, name, flags, mode) })
}
