package treecopy

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Measure returns the size of a tree. Entries that are removed meanwhile are left out.
func (c *Copier) Measure(source int) (Size, error) {
	src, err := again(source)
	if err != nil {
		return Size{}, err
	}
	m := &measure{copier: c, seen: map[uint64]bool{}}
	st, err := c.look(src, "")
	if err == nil {
		err = m.walk(&dir{src: src, dst: -1, stat: st})
	}
	unix.Close(src)
	return m.Size, err
}

type measure struct {
	Size
	copier *Copier
	seen   map[uint64]bool // files with several names
}

func (m *measure) walk(d *dir) error {
	below, err := m.entries(d)
	if err != nil {
		return err
	}
	for _, name := range below {
		err := m.subdir(d, name)
		if err != nil && !gone(err) && !(errors.Is(err, errMoved) && d.depth < heldDepth) {
			return failed(name, err)
		}
	}
	return nil
}

func (m *measure) subdir(d *dir, name string) error {
	src, err := openDir(d.src, name)
	if err != nil {
		return err
	}
	below := &dir{src: src, dst: -1, depth: d.depth + 1}
	defer func() { below.close() }()
	if below.stat, err = m.copier.look(src, ""); err != nil {
		return err
	}
	if d.depth >= heldDepth {
		d.close()
	}
	if err := m.walk(below); err != nil {
		return err
	}
	if d.depth < heldDepth {
		return nil
	}
	var st unix.Stat_t
	if d.src, err = openDir(below.src, ".."); err == nil {
		err = unix.Fstat(d.src, &st)
	}
	if err != nil || st.Ino != d.stat.Ino || st.Dev != d.stat.Dev {
		return errMoved
	}
	return nil
}

// entries counts the entries of a directory, and returns the names of the directories.
func (m *measure) entries(d *dir) (dirs []string, err error) {
	err = eachName(d.src, func(name string) error {
		if m.copier.cancel.Load() {
			return ErrCanceled
		}
		var st unix.Stat_t
		if err := unix.Fstatat(d.src, name, &st, unix.AT_SYMLINK_NOFOLLOW); gone(err) {
			return nil
		} else if err != nil {
			return failed(name, err)
		}
		m.Entries++
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			dirs = append(dirs, name)
		} else if st.Nlink > 1 {
			if m.seen[st.Ino] {
				return nil
			}
			m.seen[st.Ino] = true
		}
		m.Bytes += st.Blocks * 512
		return nil
	})
	return dirs, err
}
