package treecopy

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Size is the size of a tree.
type Size struct {
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"` // on the disk, with each hard link once
}

// Copier copies one tree in passes. The first copies everything. Each further one copies
// the changes since, and removes deleted entries. After a pass during which nothing of
// the source changed, or that had nothing to do, the copy is the source of one moment.
type Copier struct {
	// Done counts the entries that this pass has looked at. Another goroutine may read
	// it.
	Done struct{ Entries, Bytes atomic.Int64 }

	work   int // directory of the copy, with the names treeName, linksName and trashName
	links  int
	trash  int
	cancel atomic.Bool

	pass     int
	changed  int64
	seed     maphash.Seed
	known    map[uint64]struct{} // what is in the copy, by hash, as of the last pass
	next     map[uint64]struct{} // and of this one
	versions map[uint64]uint64   // of files with several names, by inode: which version is in links
	unsure   map[uint64]bool     // inodes with versions that a later version may not be distinguishable from
	dropped  int                 // counts names in trash
	noClone  bool
	buf      []byte
}

// Names in the directory of the copy.
const (
	treeName  = "tree"  // the copy
	linksName = "links" // a further name of each file with several, while the copy is made
	trashName = "trash" // what is being removed
)

// ErrCanceled says that Cancel was called.
var ErrCanceled = errors.New("canceled")

// New returns a Copier that works in the directory name, which it makes anew, in that of
// the file descriptor into.
func New(into int, name string) (*Copier, error) {
	if err := removeAt(into, name); err != nil {
		return nil, err
	}
	if err := unix.Mkdirat(into, name, 0o700); err != nil {
		return nil, err
	}
	c := &Copier{work: -1, links: -1, trash: -1, seed: maphash.MakeSeed(), known: map[uint64]struct{}{}, versions: map[uint64]uint64{},
		buf: make([]byte, 256<<10)}
	var err error
	if c.work, err = openDir(into, name); err != nil {
		return nil, err
	}
	for _, sub := range []struct {
		name string
		fd   *int
	}{{linksName, &c.links}, {trashName, &c.trash}} {
		if err = unix.Mkdirat(c.work, sub.name, 0o700); err == nil {
			*sub.fd, err = openDir(c.work, sub.name)
		}
		if err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Cancel makes a pass end soon with ErrCanceled.
func (c *Copier) Cancel() { c.cancel.Store(true) }

// Close closes the Copier's files. The directory stays; see Finish and Remove.
func (c *Copier) Close() {
	for _, fd := range []int{c.work, c.links, c.trash} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	c.work, c.links, c.trash = -1, -1, -1
}

// Pass copies the differences and returns how many entries differed.
func (c *Copier) Pass(source int) (changed int64, err error) {
	c.pass++
	c.changed, c.next, c.unsure = 0, map[uint64]struct{}{}, map[uint64]bool{}
	c.Done.Entries.Store(0)
	c.Done.Bytes.Store(0)
	if c.pass == 1 {
		if err := unix.Mkdirat(c.work, treeName, 0o700); err != nil {
			return 0, err
		}
	}
	src, err := again(source)
	if err != nil {
		return 0, err
	}
	dst, err := openDir(c.work, treeName)
	if err != nil {
		unix.Close(src)
		return 0, err
	}
	st, err := c.look(src, "")
	if err == nil {
		err = c.walk(&dir{src: src, dst: dst, stat: st, fresh: c.pass == 1})
	}
	unix.Close(src) // what is not deep stays open
	unix.Close(dst)
	c.known, c.next = c.next, nil
	for ino := range c.unsure { // the next pass copies all its names
		delete(c.versions, ino)
	}
	return c.changed, err
}

// Finish makes the copy the directory name in the directory of the file descriptor into,
// in one step and for good. An empty directory of that name may exist. Then the copy is
// on the disk. into must be the descriptor given to New: a later one may be another
// mount, and a rename cannot cross mounts.
func (c *Copier) Finish(into int, name string) error {
	if err := empty(c.links); err != nil {
		return err
	}
	if err := unix.Syncfs(c.work); err != nil {
		return fmt.Errorf("the copy cannot be written to the disk: %w", err)
	}
	if err := unix.Renameat(c.work, treeName, into, name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return unix.Fsync(into)
}

// stat is a file's, with the version that it is.
type stat struct {
	unix.Stat_t
	version uint64 // differs when the file may have changed
	certain bool   // any later change will make another version
}

// coarse is how far a time of change may be behind the clock, in nanoseconds: a tick of
// the kernel's, or two seconds on file systems with a coarser grain.
const (
	coarse      = 50_000_000
	wholeSecond = 2_000_000_000
)

// look is stat(2) of a name in a directory, or with "" of the descriptor.
func (c *Copier) look(fd int, name string) (*stat, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		return nil, err
	}
	s := &stat{}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Fstatat(fd, name, &s.Stat_t, flags); err != nil {
		return nil, err
	}
	// A file that was changed just now may change again within the same tick of the
	// clock. So may one changed in the future, if the clock was set back.
	margin := int64(coarse)
	if s.Ctim.Nsec == 0 {
		margin = wholeSecond
	}
	s.certain = s.Ctim.Nano() < now.Nano()-margin
	s.version = c.hash("", uint64(s.Ctim.Sec), uint64(s.Ctim.Nsec), uint64(s.Mtim.Sec), uint64(s.Mtim.Nsec), uint64(s.Size),
		uint64(s.Mode), s.Ino)
	return s, nil
}

func (s *stat) kind() uint32 { return s.Mode & unix.S_IFMT }

// entryKey identifies an entry: its name, its directory, and its version. A directory has
// another key, in addition to that of its place.
func (c *Copier) entryKey(parent uint64, name string, st *stat) uint64 {
	return c.hash(name, parent, st.Ino, st.version)
}

func (c *Copier) has(key uint64) bool { _, ok := c.known[key]; return ok }

// remember takes into the next pass that the copy has this version.
func (c *Copier) remember(key uint64, st *stat) {
	if st.certain {
		c.next[key] = struct{}{}
	}
}

// hash makes one number from a name and numbers. Two different inputs collide with a
// chance of one in 2^64.
func (c *Copier) hash(name string, numbers ...uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, n := range numbers {
		maphash.WriteComparable(&h, n)
	}
	h.WriteString(name)
	return h.Sum64()
}

// failed says which entry cannot be copied.
func failed(name string, err error) error {
	if err == nil || errors.Is(err, ErrCanceled) {
		return err
	}
	var e *entryError
	if errors.As(err, &e) {
		return &entryError{path: name + "/" + e.path, err: e.err}
	}
	return &entryError{path: name, err: err}
}

// entryError is an error with the path from the root of the tree to where it was.
type entryError struct {
	path string
	err  error
}

func (e *entryError) Error() string { return strconv.Quote(e.path) + ": " + e.err.Error() }
func (e *entryError) Unwrap() error { return e.err }

// targetError is an error of the copy, not of the source.
type targetError struct{ error }

func (e targetError) Unwrap() error { return e.error }

// target marks an error as one of the copy.
func target(err error) error {
	if err == nil {
		return nil
	}
	return targetError{err}
}

// gone reports whether an error means that somebody removed or replaced an entry of the
// source.
func gone(err error) bool {
	if t := (targetError{}); errors.As(err, &t) {
		return false
	}
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) ||
		errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENXIO) // of a socket
}
