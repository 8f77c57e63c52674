package treecopy

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Placer copies single entries, and directories with their contents, from places that
// stand still to others in one file system. A copy is complete or missing.
type Placer struct {
	copier     *Copier
	into       int
	entries    int // directory in which entries are made
	name, tree string
}

// NewPlacer works in the directory name, which it makes in that of the file descriptor
// into. Places must be on that one's mount.
func NewPlacer(into int, name string) (*Placer, error) {
	c, err := New(into, name)
	if err != nil {
		return nil, err
	}
	p := &Placer{copier: c, into: into, name: name, tree: name + "-tree"}
	if err = unix.Mkdirat(c.work, treeName, 0o700); err == nil {
		p.entries, err = openDir(c.work, treeName)
	}
	if err != nil {
		c.Close()
		return nil, errors.Join(err, removeAt(into, name))
	}
	return p, nil
}

// Place copies the entry name of the directory src to dst, under the name as. A file
// replaces another one; a directory must not replace anything.
func (p *Placer) Place(src int, name string, dst int, as string) error {
	st, err := p.copier.look(src, name)
	if err != nil {
		return err
	}
	if st.kind() == unix.S_IFDIR {
		return p.directory(src, name, dst, as)
	}
	d := &dir{src: src, dst: p.entries, stat: st, fresh: true}
	if _, err = p.copier.copyEntry(d, name, st); err == nil {
		err = unix.Renameat(p.entries, name, dst, as)
	}
	if err != nil {
		return errors.Join(failed(name, err), removeAt(p.entries, name))
	}
	return nil
}

func (p *Placer) directory(src int, name string, dst int, as string) error {
	source, err := openDir(src, name)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	c, err := New(p.into, p.tree)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.Pass(source); err == nil {
		err = unix.Renameat(c.work, treeName, dst, as)
	}
	return errors.Join(err, removeAt(p.into, p.tree))
}

// Close removes the working directory, and syncs the copies to the disk.
func (p *Placer) Close() error {
	err := unix.Syncfs(p.copier.work)
	if err != nil {
		err = fmt.Errorf("the copies cannot be written to the disk: %w", err)
	}
	unix.Close(p.entries)
	p.copier.Close()
	return errors.Join(err, removeAt(p.into, p.name))
}
