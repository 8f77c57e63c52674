package treecopy

import (
	"archive/tar"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// PackOrder is the argument of Pack and Unpack, as JSON.
type PackOrder struct {
	Dir  string   // the tree, or with Name the directory that will contain it
	Name string   // of the tree there: nothing, or an empty directory
	UIDs []string // maps of ids, as podman has them
	GIDs []string
	// User and Group are the ids of the user who packed the tree, and of the one who
	// unpacks it: they are exchanged.
	User, Group [2]uint32
}

// MeasureTree writes the size of a tree, as JSON of a Size.
func MeasureTree(dir string, out io.Writer) error {
	fd, err := openDir(unix.AT_FDCWD, dir)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	defer unix.Close(fd)
	c := &Copier{seed: maphash.MakeSeed()}
	size, err := c.Measure(fd)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(size)
}

// Pack writes the tree as an archive of the format pax, pax(1): ids are those inside, and
// what the format has no place for is in records of the vendor TBX:
//
//   - TBX.size is the size of a file with holes. Its content is then the number of its
//     pieces and the offset and length of each, as 64 bits, big-endian; then the pieces.
//   - TBX.xattr.HEX is an extended attribute whose name has a "=", in hexadecimal digits.
//   - TBX.socket marks a fifo that is a socket.
//
// The tree must stand still. A file that changes meanwhile is an error.
func Pack(arg string, out io.Writer) error {
	var o PackOrder
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	uids, err := ParseIDs(o.UIDs)
	if err != nil {
		return err
	}
	gids, err := ParseIDs(o.GIDs)
	if err != nil {
		return err
	}
	root, err := openDir(unix.AT_FDCWD, o.Dir)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Dir, err)
	}
	defer unix.Close(root)
	p := &packer{tar: tar.NewWriter(out), owners: owners{uids.toInside, gids.toInside}, first: map[uint64]string{}, buf: make([]byte, 256<<10)}
	if err := p.directory(root, ""); err != nil {
		return err
	}
	return p.tar.Close()
}

type packer struct {
	tar    *tar.Writer
	owners owners
	first  map[uint64]string // of files with several names, by inode: the first
	buf    []byte
}

const (
	recordSize   = "TBX.size"
	recordXattr  = "TBX.xattr."
	recordSocket = "TBX.socket"
	schilyXattr  = "SCHILY.xattr."
)

// directory writes an open directory and what is below it.
func (p *packer) directory(fd int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	h, err := p.header(path, &st, file{fd: fd})
	if err != nil {
		return err
	}
	h.Typeflag, h.Name = tar.TypeDir, path+"/"
	if path == "" {
		h.Name = "./"
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	return eachName(fd, func(name string) error {
		if err := p.entry(fd, name, path); err != nil {
			return failed(name, err)
		}
		return nil
	})
}

func (p *packer) entry(dir int, name, path string) error {
	path = strings.TrimPrefix(path+"/"+name, "/")
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		fd, err := openDir(dir, name)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return p.directory(fd, path)
	}
	h, err := p.header(path, &st, file{dir, name})
	if err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if st.Nlink > 1 && kind != unix.S_IFCHR { // an overlay's whiteouts are one file, and mean nothing by that
		if first, ok := p.first[st.Ino]; ok {
			return p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: path, Linkname: first, Format: tar.FormatPAX})
		}
		p.first[st.Ino] = path
	}
	switch kind {
	case unix.S_IFREG:
		return p.file(h, dir, name)
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = readlinkat(dir, name, st.Size); err != nil {
			return err
		}
	case unix.S_IFCHR:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
		if st.Rdev != 0 {
			return errors.New("it is a device")
		}
	case unix.S_IFSOCK:
		h.Typeflag, h.PAXRecords[recordSocket] = tar.TypeFifo, "1"
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return errors.New("it is a device")
	}
	return p.tar.WriteHeader(h)
}

// header is that of an entry, without its kind.
func (p *packer) header(path string, st *unix.Stat_t, f file) (*tar.Header, error) {
	uid, err := p.owners.user(st.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := p.owners.group(st.Gid)
	if err != nil {
		return nil, err
	}
	h := &tar.Header{
		Name: path, Mode: int64(st.Mode & 0o7777), Uid: int(uid), Gid: int(gid),
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX, PAXRecords: map[string]string{},
	}
	names, err := f.list(p.buf)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if own(name) {
			continue
		}
		value, err := f.get(name, p.buf)
		if err != nil {
			return nil, err
		}
		key := schilyXattr + name
		if strings.Contains(name, "=") {
			key = recordXattr + hex.EncodeToString([]byte(name))
		}
		if h.PAXRecords[key], err = p.owners.attribute(name, string(value)); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// errChanged means that a file has changed since its size was written.
var errChanged = errors.New("it changes while it is saved")

// span is a piece of a file that is not a hole.
type span struct{ At, Length int64 }

// file writes a file with its content.
func (p *packer) file(h *tar.Header, dir int, name string) error {
	src, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return err
	}
	h.Typeflag = tar.TypeReg
	spans := []span{{0, st.Size}}
	if sparse := st.Blocks*512 < st.Size; sparse {
		if spans, err = pieces(src, st.Size); err != nil {
			return err
		}
		h.PAXRecords[recordSize] = strconv.FormatInt(st.Size, 10)
		h.Size = int64(8 + 16*len(spans))
		for _, s := range spans {
			h.Size += s.Length
		}
		if err := p.tar.WriteHeader(h); err != nil {
			return err
		}
		err := errors.Join(binary.Write(p.tar, binary.BigEndian, int64(len(spans))), binary.Write(p.tar, binary.BigEndian, spans))
		if err != nil {
			return err
		}
	} else {
		h.Size = st.Size
		if err := p.tar.WriteHeader(h); err != nil {
			return err
		}
	}
	for _, s := range spans {
		if err := p.span(src, s); err != nil {
			return err
		}
	}
	var now unix.Stat_t
	if err := unix.Fstat(src, &now); err != nil {
		return err
	}
	if now.Mtim != st.Mtim || now.Size != st.Size {
		return errChanged
	}
	return nil
}

// pieces returns the pieces of a file that are not holes.
func pieces(fd int, size int64) ([]span, error) {
	var all []span
	for at := int64(0); at < size; {
		data, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		end, err := unix.Seek(fd, data, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		if end = min(end, size); end > data {
			all = append(all, span{data, end - data})
		}
		at = end
	}
	return all, nil
}

func (p *packer) span(src int, s span) error {
	for s.Length > 0 {
		n, err := eintr.Get(func() (int, error) { return unix.Pread(src, p.buf[:min(s.Length, int64(len(p.buf)))], s.At) })
		if err != nil {
			return err
		}
		if n == 0 {
			return errChanged
		}
		if _, err := p.tar.Write(p.buf[:n]); err != nil {
			return err
		}
		s.At, s.Length = s.At+int64(n), s.Length-int64(n)
	}
	return nil
}
