package treecopy

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// ErrHostile begins the message about an archive that Pack did not write.
var ErrHostile = errors.New("it is not as tbx writes it")

// Unpack makes a tree from Pack's archive, which it reads from in, followed by the order
// OrderCommit in a line of its own: without it, nothing is left. It does not trust the
// archive: it makes nothing outside of the tree, follows no link, and makes no devices.
// It sends Done or Failed as Serve does.
func Unpack(arg string, in io.Reader, out io.Writer) error {
	s := &server{events: json.NewEncoder(out)}
	err := s.unpack(arg, in)
	if err == nil || errors.Is(err, ErrCanceled) {
		return err
	}
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	s.tell(Event{Failed: &Failure{Text: err.Error(), Full: full}})
	return nil // it is told
}

func (s *server) unpack(arg string, in io.Reader) (err error) {
	var o PackOrder
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	u := &unpacker{buf: make([]byte, 256<<10)}
	if err := u.translate(&o); err != nil {
		return err
	}
	if s.place, err = openDir(unix.AT_FDCWD, o.Dir); err != nil {
		return fmt.Errorf("%s: %w", o.Dir, err)
	}
	defer unix.Close(s.place)
	part := filepath.Base(Part(o.Dir, o.Name))
	if s.copier, err = New(s.place, part); err != nil {
		return fmt.Errorf("%s: %w", Part(o.Dir, o.Name), err)
	}
	defer func() {
		s.copier.Close()
		err = errors.Join(err, removeAt(s.place, part))
	}()
	u.work = s.copier.work
	if err := u.read(tar.NewReader(in)); err != nil {
		return err
	}
	// Before the order, not after: its sender has seen that everything was read.
	if err := s.tell(Event{Pass: &Passed{Changed: u.entries}}); err != nil {
		return err
	}
	if line, _ := bufio.NewReader(in).ReadString('\n'); line != OrderCommit+"\n" {
		return ErrCanceled
	}
	if err := s.copier.Finish(s.place, o.Name); err != nil {
		return err
	}
	return s.tell(Event{Done: true})
}

type unpacker struct {
	work    int // directory that the tree is made in
	owners  owners
	open    []*unpacked // the directories from the tree's root to where it is
	entries int64
	buf     []byte
}

// unpacked is a directory that may get further entries.
type unpacked struct {
	fd   int
	path string
	h    *tar.Header
}

// translate has the ids of an order.
func (u *unpacker) translate(o *PackOrder) error {
	uids, err := ParseIDs(o.UIDs)
	if err != nil {
		return err
	}
	gids, err := ParseIDs(o.GIDs)
	if err != nil {
		return err
	}
	swapped := func(m IDs, pair [2]uint32) func(uint32) (uint32, error) {
		return func(id uint32) (uint32, error) {
			switch id {
			case pair[0]:
				id = pair[1]
			case pair[1]:
				id = pair[0]
			}
			return m.toOutside(id)
		}
	}
	u.owners = owners{swapped(uids, o.User), swapped(gids, o.Group)}
	return nil
}

func (u *unpacker) read(in *tar.Reader) (err error) {
	defer func() {
		for _, d := range u.open {
			unix.Close(d.fd)
		}
	}()
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrHostile, err)
		}
		if err := u.entry(h, in); err != nil {
			return fmt.Errorf("%q: %w", short(h.Name), err)
		}
		u.entries++
	}
	if len(u.open) == 0 {
		return fmt.Errorf("%w: there is nothing in it", ErrHostile)
	}
	return u.leave(0)
}

// short is a name as an error can have it.
func short(name string) string {
	const most = 200
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

func hostile(why string) error { return fmt.Errorf("%w: %s", ErrHostile, why) }

// entry makes one entry. Those of a directory come after it, before entries outside of
// it.
func (u *unpacker) entry(h *tar.Header, in io.Reader) error {
	if len(u.open) == 0 {
		if h.Name != "./" || h.Typeflag != tar.TypeDir {
			return hostile("it does not begin with its root directory")
		}
		return u.directory(u.work, treeName, "", h)
	}
	path := strings.TrimSuffix(h.Name, "/")
	parent, name, err := splitPath(path)
	if err != nil {
		return err
	}
	depth := len(u.open)
	for depth > 0 && u.open[depth-1].path != parent {
		depth--
	}
	if depth == 0 {
		return hostile("the directory that it is in does not come right before it")
	}
	if err := u.leave(depth); err != nil {
		return err
	}
	at := u.open[depth-1].fd
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(at, name, path, h)
	case tar.TypeReg:
		return u.file(at, name, h, in)
	case tar.TypeLink:
		return u.link(at, name, h.Linkname)
	case tar.TypeSymlink:
		err = unix.Symlinkat(h.Linkname, at, name)
	case tar.TypeFifo:
		kind := uint32(unix.S_IFIFO)
		if h.PAXRecords[recordSocket] != "" {
			kind = unix.S_IFSOCK
		}
		err = unix.Mknodat(at, name, kind|0o600, 0)
	case tar.TypeChar:
		if h.Devmajor != 0 || h.Devminor != 0 {
			return hostile("it is a device")
		}
		err = unix.Mknodat(at, name, unix.S_IFCHR, 0) // a whiteout, which needs no privilege
	case tar.TypeBlock:
		return hostile("it is a device")
	default:
		return hostile(fmt.Sprintf("it is of the kind %q", h.Typeflag))
	}
	if err != nil {
		return err
	}
	return u.dress(at, name, h)
}

// splitPath splits a path that only leads downwards.
func splitPath(path string) (parent, name string, err error) {
	for _, part := range strings.Split(path, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0) {
			return "", "", hostile("its path leads elsewhere")
		}
	}
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:], nil
}

func (u *unpacker) directory(at int, name, path string, h *tar.Header) error {
	if err := unix.Mkdirat(at, name, 0o700); err != nil {
		return twice(err)
	}
	fd, err := openDir(at, name)
	if err != nil {
		return err
	}
	u.open = append(u.open, &unpacked{fd, path, h})
	return nil
}

func twice(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return hostile("it comes twice")
	}
	return err
}

// leave closes directories until depth of them are open. It sets their attributes now:
// they were changed until now, and some may not be writable.
func (u *unpacker) leave(depth int) error {
	for len(u.open) > depth {
		d := u.open[len(u.open)-1]
		u.open = u.open[:len(u.open)-1]
		err := u.dress(d.fd, "", d.h)
		unix.Close(d.fd)
		if err != nil {
			return fmt.Errorf("%q: %w", short(d.path), err)
		}
	}
	return nil
}

// link gives an existing file another name.
func (u *unpacker) link(at int, name, to string) error {
	parent, base, err := splitPath(to)
	if err != nil {
		return err
	}
	dir := u.open[0].fd
	if parent != "" {
		for i, part := range strings.Split(parent, "/") {
			next, err := openDir(dir, part)
			if i > 0 {
				unix.Close(dir)
			}
			if err != nil {
				return hostile("it is another name of a missing file")
			}
			dir = next
		}
		defer unix.Close(dir)
	}
	err = unix.Linkat(dir, base, at, name, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) { // EPERM: of a directory
		return hostile("it is another name of a missing file")
	}
	return twice(err)
}

func (u *unpacker) file(at int, name string, h *tar.Header, in io.Reader) error {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return hostile("it has holes in another way")
		}
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(at, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; h.Size > free {
		return fmt.Errorf("it is of %d bytes, and %d are free: %w", h.Size, free, unix.ENOSPC)
	}
	fd, err := openat(at, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return twice(err)
	}
	defer unix.Close(fd)
	spans := []span{{0, h.Size}}
	size := h.Size
	if text, ok := h.PAXRecords[recordSize]; ok {
		if size, err = strconv.ParseInt(text, 10, 64); err != nil || size < 0 {
			return hostile("its size is no number")
		}
		if spans, err = readSpans(in, h.Size, size); err != nil {
			return err
		}
	}
	for _, s := range spans {
		if err := u.span(fd, s, in); err != nil {
			return err
		}
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		return fmt.Errorf("it is of %d bytes: %w", size, err)
	}
	return u.dress(fd, "", h)
}

// readSpans reads the pieces of a file with holes. content is the length of its content
// in the archive.
func readSpans(in io.Reader, content, size int64) ([]span, error) {
	var n int64
	if err := binary.Read(in, binary.BigEndian, &n); err != nil || n < 0 || n > (content-8)/16 || n > 1<<24 {
		return nil, hostile("its holes cannot be understood")
	}
	spans := make([]span, n)
	if err := binary.Read(in, binary.BigEndian, spans); err != nil {
		return nil, err
	}
	left, at := content-8-16*n, int64(0)
	for _, s := range spans {
		if s.At < at || s.Length <= 0 || s.Length > left || s.At > size-s.Length {
			return nil, hostile("its holes cannot be understood")
		}
		left, at = left-s.Length, s.At+s.Length
	}
	if left != 0 {
		return nil, hostile("its holes cannot be understood")
	}
	return spans, nil
}

func (u *unpacker) span(fd int, s span, in io.Reader) error {
	for s.Length > 0 {
		n, err := io.ReadFull(in, u.buf[:min(s.Length, int64(len(u.buf)))])
		if err != nil {
			return err
		}
		for w := 0; w < n; {
			k, err := eintr.Get(func() (int, error) { return unix.Pwrite(fd, u.buf[w:n], s.At+int64(w)) })
			if err != nil {
				return err
			}
			w += k
		}
		s.At, s.Length = s.At+int64(n), s.Length-int64(n)
	}
	return nil
}

// dress gives an entry owner, mode, attributes and time. A name "" means the descriptor.
func (u *unpacker) dress(fd int, name string, h *tar.Header) error {
	const nofollow = unix.AT_SYMLINK_NOFOLLOW
	if h.Uid < 0 || h.Gid < 0 || int64(h.Uid) > 1<<32-2 || int64(h.Gid) > 1<<32-2 || h.Mode&^0o7777 != 0 {
		return hostile("its owner or mode is invalid")
	}
	uid, err := u.owners.user(uint32(h.Uid))
	if err != nil {
		return err
	}
	gid, err := u.owners.group(uint32(h.Gid))
	if err != nil {
		return err
	}
	flags := nofollow
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Fchownat(fd, name, int(uid), int(gid), flags); err != nil {
		return err
	}
	// After the owner, because chown removes bits and capabilities.
	switch {
	case h.Typeflag == tar.TypeSymlink:
	case name == "":
		err = unix.Fchmod(fd, uint32(h.Mode))
	default:
		err = unix.Fchmodat(fd, name, uint32(h.Mode), 0) // no link: it was made just now
	}
	if err != nil {
		return err
	}
	if err := u.attributes(file{fd, name}, h); err != nil {
		return err
	}
	t, err := unix.TimeToTimespec(h.ModTime)
	if err != nil {
		return hostile("its time is invalid")
	}
	times := []unix.Timespec{t, t}
	if name == "" {
		return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd, ""), times, 0)
	}
	return unix.UtimesNanoAt(fd, name, times, nofollow)
}

func (u *unpacker) attributes(to file, h *tar.Header) error {
	have, err := to.list(u.buf)
	if err != nil {
		return err
	}
	for _, name := range have { // of a directory's default list
		if !foreign(name) {
			if err := to.remove(name); err != nil {
				return err
			}
		}
	}
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, schilyXattr)
		if digits, hexed := strings.CutPrefix(key, recordXattr); hexed {
			b, err := hex.DecodeString(digits)
			if err != nil {
				return hostile("it has an attribute without a name")
			}
			name, ok = string(b), true
		}
		if !ok {
			continue
		}
		if !mayHave(name) {
			return hostile(fmt.Sprintf("it has the attribute %q", short(name)))
		}
		if value, err = u.owners.attribute(name, value); err != nil {
			return err
		}
		if err := to.set(name, []byte(value)); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}
