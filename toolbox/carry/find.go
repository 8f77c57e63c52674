package carry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Found is something that the user put into a toolbox or changed there, and that no package
// brought.
type Found struct {
	Path   string `json:"path"`
	Type   string `json:"type,omitempty"` // file, directory, link, or removed; empty with Note
	Mode   uint32 `json:"mode,omitempty"` // permissions, with setuid, setgid and sticky
	UID    int    `json:"uid,omitempty"`  // as the toolbox has it
	GID    int    `json:"gid,omitempty"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Target string `json:"target,omitempty"` // of a link
	Image  bool   `json:"image,omitempty"`  // of a directory: the image has it, with another mode or owner
	Note   string `json:"note,omitempty"`   // why it is left out
}

// Types of what is found.
const (
	TypeFile      = "file"
	TypeDirectory = "directory"
	TypeLink      = "link"
	TypeRemoved   = "removed" // what the image or a package has
)

// Find is where to look for what the user put into a toolbox, beside the order's Skip,
// Defaults and Owned.
type Find struct {
	In      []string `json:"in"`                // directories and files
	Only    []string `json:"only,omitempty"`    // patterns, as those of Skip; empty: all
	Homes   []string `json:"homes,omitempty"`   // directories that are left out, and named
	Private []string `json:"private,omitempty"` // patterns of what is taken though not everybody may read it
	// WasOwned are the files of the image's packages: one that is not there any more, and is
	// no package's now, went with its package.
	WasOwned []string `json:"was_owned,omitempty"`
	Upgraded bool     `json:"upgraded,omitempty"` // packages of the image are of other versions now
	// Exactly are paths to describe as they are, in the place of all this. What is not there
	// is removed.
	Exactly []string `json:"exactly,omitempty"`
}

// finder is a Find under way.
type finder struct {
	*work
	find     *Find
	wasOwned map[string]bool
	found    []Found
}

func (w *work) findAll(find *Find) []Found {
	f := &finder{work: w, find: find, wasOwned: map[string]bool{}}
	for _, p := range find.WasOwned {
		f.wasOwned[p] = true
	}
	f.exactly(find.Exactly)
	for _, p := range find.In {
		if p = path.Clean(p); p == "/" {
			f.below(p, false)
			continue
		}
		f.one(p, f.old.look(path.Dir(p), path.Base(p)), f.base.look(path.Dir(p), path.Base(p)), false)
	}
	for _, p := range f.lostDefaults() {
		f.found = append(f.found, Found{Path: p, Type: TypeRemoved})
	}
	return f.found
}

// exactly describes paths.
func (f *finder) exactly(paths []string) {
	for _, p := range paths {
		is := f.old.look(path.Dir(p), path.Base(p))
		switch {
		case is == nil:
			f.found = append(f.found, Found{Path: p, Type: TypeRemoved})
		case kindOf(is) == unix.S_IFDIR:
			f.found = append(f.found, f.entry(p, is, TypeDirectory))
		default:
			f.take(p, is, false)
		}
	}
}

// look is what a directory has by a name, or nil; what is of another mount is the host's.
func (s *side) look(dir, name string) *unix.Statx_t {
	d, err := s.root.Open(inside(dir))
	if err != nil {
		return nil
	}
	defer d.Close()
	return lookAt(d, name)
}

func lookAt(d *os.File, name string) *unix.Statx_t {
	var st unix.Statx_t
	if unix.Statx(int(d.Fd()), name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st) != nil {
		return nil
	}
	return &st
}

// entries are those of a directory by their names.
func (s *side) entries(dir string) map[string]*unix.Statx_t {
	all := map[string]*unix.Statx_t{}
	d, err := s.root.Open(inside(dir))
	if err != nil {
		return all
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // of no directory there are none
	for _, name := range names {
		if st := lookAt(d, name); st != nil {
			all[name] = st
		}
	}
	return all
}

// below looks at what is in a directory; private says that not everybody may go there.
func (f *finder) below(dir string, private bool) {
	is, was := f.old.entries(dir), f.base.entries(dir)
	var names []string
	for name := range is {
		names = append(names, name)
	}
	for name := range was {
		if is[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		f.one(path.Join(dir, name), is[name], was[name], private)
	}
}

func kindOf(st *unix.Statx_t) uint16 { return st.Mode & unix.S_IFMT }

// one looks at what the toolbox has by a path, and its image had.
func (f *finder) one(p string, is, was *unix.Statx_t, private bool) {
	switch {
	case is == nil && was == nil, f.skipped(p), is != nil && is.Mnt_id != f.old.mount, was != nil && was.Mnt_id != f.base.mount:
		return
	case is == nil:
		if f.wants(p) && isIn(f.owned, p) == isIn(f.wasOwned, p) {
			f.found = append(f.found, Found{Path: p, Type: TypeRemoved})
		}
		return
	case slices.Contains(f.find.Homes, p):
		f.home(p, is)
		return
	}
	if kindOf(is) == unix.S_IFDIR {
		f.directory(p, is, was, private)
		return
	}
	if !f.wants(p) || was != nil && (f.untouched(is, was) || f.same(f.old, f.base, p)) || f.asPackaged(f.old, p) {
		return
	}
	switch {
	case f.packaged(p, was):
	case !utf8.ValidString(p):
		f.found = append(f.found, Found{Path: strings.ToValidUTF8(p, "?"), Note: "its name is no UTF-8"})
	default:
		f.take(p, is, private)
	}
}

// packaged says whether a file is a package's as that brought it. One that the image has too
// and that differs is so only where a package of the image was upgraded.
func (f *finder) packaged(p string, was *unix.Statx_t) bool {
	_, conf := f.Defaults[p]
	return isIn(f.owned, p) && !conf && (was == nil || f.find.Upgraded)
}

// isIn says whether a path is in a list of packages' files. Those may name a file where it was
// before /bin and others became links into /usr, and end directories with "/".
func isIn(list map[string]bool, p string) bool {
	return list[p] || list[p+"/"] || list["/usr"+p] || list[strings.TrimPrefix(p, "/usr")]
}

// wants says whether a path is asked for.
func (f *finder) wants(p string) bool { return len(f.find.Only) == 0 || fits(f.find.Only, p) }

// untouched says whether two sides show one and the same file of the image.
func (f *finder) untouched(a, b *unix.Statx_t) bool {
	return a.Ino == b.Ino && a.Size == b.Size && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid &&
		a.Mtime == b.Mtime && a.Ctime == b.Ctime
}

// home names a home that has something in it.
func (f *finder) home(p string, is *unix.Statx_t) {
	if kindOf(is) != unix.S_IFDIR {
		return
	}
	was := f.base.entries(p)
	for name, st := range f.old.entries(p) {
		in, image := path.Join(p, name), was[name]
		if f.skipped(in) || image != nil && (kindOf(st) == unix.S_IFDIR || f.untouched(st, image) || f.same(f.old, f.base, in)) {
			continue
		}
		f.found = append(f.found, Found{Path: p, Note: "it is a home"})
		return
	}
}

// forOthers is the permission of everybody to read a file, or to go through a directory.
func forOthers(st *unix.Statx_t) bool {
	if kindOf(st) == unix.S_IFDIR {
		return st.Mode&1 != 0
	}
	return st.Mode&4 != 0
}

// directory takes one that is neither the image's nor a package's, and looks into it.
func (f *finder) directory(p string, is, was *unix.Statx_t, private bool) {
	if !utf8.ValidString(p) {
		f.found = append(f.found, Found{Path: strings.ToValidUTF8(p, "?"), Note: "its name is no UTF-8"})
		return
	}
	secret := !forOthers(is) && !fits(f.find.Private, p)
	known := isIn(f.owned, p) || was != nil && kindOf(was) == unix.S_IFDIR
	if secret && !known && f.wants(p) {
		f.found = append(f.found, Found{Path: p, Note: "only its owner may read what is in it"})
		return
	}
	changed := was != nil && (is.Mode != was.Mode || is.Uid != was.Uid || is.Gid != was.Gid)
	if f.wants(p) && !isIn(f.owned, p) && (was == nil || changed) {
		e := f.entry(p, is, TypeDirectory)
		e.Image = changed
		f.found = append(f.found, e)
	}
	f.below(p, private || secret)
}

// entry describes what there is.
func (f *finder) entry(p string, st *unix.Statx_t, kind string) Found {
	return Found{
		Path: p, Type: kind, Mode: uint32(st.Mode &^ unix.S_IFMT),
		UID: f.uids.insideOf(int(st.Uid)), GID: f.gids.insideOf(int(st.Gid)),
	}
}

// take takes a file or a link, or says why not.
func (f *finder) take(p string, is *unix.Statx_t, private bool) {
	no := func(why string) { f.found = append(f.found, Found{Path: p, Note: why}) }
	switch kindOf(is) {
	case unix.S_IFLNK:
		to, err := f.old.root.Readlink(inside(p))
		if err != nil {
			no(err.Error())
			return
		}
		e := f.entry(p, is, TypeLink)
		e.Target, e.Mode = to, 0
		f.found = append(f.found, e)
	case unix.S_IFREG:
		if (private || !forOthers(is)) && !fits(f.find.Private, p) && f.find.Exactly == nil {
			no("only its owner may read it")
			return
		}
		sum, why := f.digestOf(p)
		if sum == "" || why != "" && !fits(f.find.Private, p) && f.find.Exactly == nil {
			no(why)
			return
		}
		e := f.entry(p, is, TypeFile)
		e.Size, e.SHA256 = int64(is.Size), sum
		f.found = append(f.found, e)
	case unix.S_IFSOCK:
		no("it is a socket")
	case unix.S_IFIFO:
		no("it is a fifo")
	default:
		no("it is a device")
	}
}

// digestOf returns the digest of a file, and why it should be left out for what is in it.
func (f *finder) digestOf(p string) (sum, why string) {
	file, err := f.old.root.Open(inside(p))
	if err != nil {
		return "", plain(err)
	}
	defer file.Close()
	h, start := sha256.New(), bytes.Buffer{}
	_, err = io.Copy(h, io.TeeReader(io.LimitReader(file, mostRead), &start))
	if err == nil {
		_, err = io.Copy(h, file)
	}
	if err != nil {
		return "", plain(err)
	}
	return hex.EncodeToString(h.Sum(nil)), secretIn(start.Bytes())
}

// plain is an error without the path, which is named beside it.
func plain(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no.Error()
	}
	return err.Error()
}

// lostDefaults are configuration files of packages that are not the image's which the user
// removed.
func (f *finder) lostDefaults() []string {
	var lost []string
	for p := range f.Defaults {
		under := slices.ContainsFunc(f.find.In, func(dir string) bool { return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/") })
		if !under || !f.wants(p) || f.skipped(p) || f.base.look(path.Dir(p), path.Base(p)) != nil {
			continue
		}
		if f.old.look(path.Dir(p), path.Base(p)) == nil && !slices.ContainsFunc(f.found, func(e Found) bool { return e.Path == p }) {
			lost = append(lost, p)
		}
	}
	slices.Sort(lost)
	return lost
}
