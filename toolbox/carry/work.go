package carry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// side is the file system of one container.
type side struct {
	root  *os.Root
	dir   *os.File
	mount uint64 // id of the mount that it is: others are of the host
}

// work is an order in progress.
type work struct {
	*Order
	old, base, new *side

	owned  map[string]bool
	placer *treecopy.Placer
	uids   *numbers
	gids   *numbers
	items  []Item
	texts  []Text
	found  []Found
}

// workDir is the directory for copies in progress, in the root of the new toolbox.
const workDir = ".tbx-carry"

func open(o *Order) (*work, error) {
	w := &work{Order: o, owned: map[string]bool{}}
	for _, s := range []struct {
		side **side
		pid  int
	}{{&w.old, o.Old}, {&w.base, o.Base}, {&w.new, o.New}} {
		var err error
		if *s.side, err = openSide(filepath.Join("/proc", strconv.Itoa(s.pid), "root")); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, w.prepare()
}

func (w *work) prepare() error {
	for _, p := range w.Owned {
		w.owned[p] = true
	}
	var err error
	if w.uids, err = numbersOf(w.New, "uid_map"); err != nil {
		return err
	}
	if w.gids, err = numbersOf(w.New, "gid_map"); err != nil || w.Dry {
		return err
	}
	w.placer, err = treecopy.NewPlacer(int(w.new.dir.Fd()), workDir)
	return err
}

func openSide(path string) (*side, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	s := &side{root: root, dir: dir}
	var st unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return nil, err
	}
	s.mount = st.Mnt_id
	return s, nil
}

func (w *work) close() {
	for _, s := range []*side{w.old, w.base, w.new} {
		if s != nil {
			s.dir.Close()
			s.root.Close()
		}
	}
}

func (w *work) run() (err error) {
	defer func() {
		if w.placer != nil {
			err = errors.Join(err, w.placer.Close())
		}
	}()
	for _, t := range w.Texts {
		if err := w.write(t); err != nil {
			return err
		}
	}
	for _, pattern := range w.Read {
		if err := w.read(pattern); err != nil {
			return err
		}
	}
	var homes []string
	if w.Users {
		if homes, err = w.users(); err != nil {
			return fmt.Errorf("users and groups: %w", err)
		}
	}
	for _, dir := range w.Rule {
		w.rule(dir)
	}
	for _, dir := range slices.Concat(w.Whole, homes) {
		w.whole(dir)
	}
	if w.Look {
		w.look(homes)
	}
	if w.Find != nil {
		w.found = w.findAll(w.Find)
	}
	return nil
}

func (w *work) say(kind, name, what, note string) {
	w.items = append(w.items, Item{kind, name, what, note})
}

func (w *work) lost(kind, name string, err error) { w.say(kind, name, Lost, err.Error()) }

// skipped says whether a path is none of what comes along.
func (w *work) skipped(p string) bool { return fits(w.Skip, p) }

// fits says whether a path is one of those that patterns mean; see Order.
func fits(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if !strings.Contains(pattern, "/") {
			fits, _ := path.Match(pattern, path.Base(p))
			return fits
		}
		if below, ok := strings.CutSuffix(pattern, "/"); ok {
			for dir := p; dir != "/"; dir = path.Dir(dir) {
				if fits, _ := path.Match(below, dir); fits {
					return true
				}
			}
			return false
		}
		fits, _ := path.Match(pattern, p)
		return fits
	})
}

// inside returns a path in the form of os.Root.
func inside(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p == "" {
		return "."
	}
	return p
}

// entry returns what is at a path, or nil; foreign: it is of another mount, the host's.
func (s *side) entry(p string) (fi fs.FileInfo, foreign bool) {
	fi, err := s.root.Lstat(inside(p))
	if err != nil {
		return nil, false
	}
	dir, err := s.root.Open(inside(path.Dir(p)))
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	var st unix.Statx_t
	name := path.Base(p)
	if p == "/" {
		name = "."
	}
	if err := unix.Statx(int(dir.Fd()), name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return nil, false
	}
	return fi, st.Mnt_id != s.mount
}

// names returns the sorted names in a directory; none if it is missing.
func (s *side) names(dir string) []string {
	f, err := s.root.Open(inside(dir))
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // of no directory there are none
	slices.Sort(names)
	return names
}

func owner(fi fs.FileInfo) (uid, gid int) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return 0, 0
}

// place copies an entry of the old toolbox to the new one, as the path as.
func (w *work) place(p, as string) error {
	if err := w.parents(path.Dir(p), path.Dir(as)); err != nil {
		return err
	}
	src, err := w.old.root.Open(inside(path.Dir(p)))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := w.new.root.Open(inside(path.Dir(as)))
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := w.placer.Place(int(src.Fd()), path.Base(p), int(dst.Fd()), path.Base(as)); err != nil {
		return err
	}
	return w.own(as)
}

// parents makes the parent directories of a copy, like those in the old toolbox.
func (w *work) parents(dir, as string) error {
	if fi, err := w.new.root.Stat(inside(as)); err == nil {
		if !fi.IsDir() {
			return fmt.Errorf("%s is not a directory in the new release", as)
		}
		return nil
	}
	if err := w.parents(path.Dir(dir), path.Dir(as)); err != nil {
		return err
	}
	fi, err := w.old.root.Stat(inside(dir))
	if err != nil {
		return err
	}
	if err := w.new.root.Mkdir(inside(as), 0o700); err != nil {
		return err
	}
	uid, gid := owner(fi)
	if err := w.new.root.Chown(inside(as), uid, gid); err != nil {
		return err
	}
	if err := w.new.root.Chmod(inside(as), modeOf(fi)); err != nil {
		return err
	}
	return w.own(as)
}

func modeOf(fi fs.FileInfo) fs.FileMode {
	return fi.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}

// own gives a copy the users' numbers of the new toolbox.
func (w *work) own(p string) error {
	if len(w.uids.files)+len(w.gids.files) == 0 {
		return nil
	}
	fi, err := w.new.root.Lstat(inside(p))
	if err != nil {
		return err
	}
	uid, gid := owner(fi)
	newUID, ok := w.uids.files[uid]
	newGID, ok2 := w.gids.files[gid]
	if !ok {
		newUID = -1
	}
	if !ok2 {
		newGID = -1
	}
	if ok || ok2 {
		if err := w.new.root.Lchown(inside(p), newUID, newGID); err != nil {
			return err
		}
		if fi.Mode()&fs.ModeSymlink == 0 { // the change took the bits for other users away
			if err := w.new.root.Chmod(inside(p), modeOf(fi)); err != nil {
				return err
			}
		}
	}
	if !fi.IsDir() {
		return nil
	}
	for _, name := range w.new.names(p) {
		if err := w.own(path.Join(p, name)); err != nil {
			return err
		}
	}
	return nil
}

// write writes a text of the order.
func (w *work) write(t Text) error {
	if w.Dry {
		return nil
	}
	if err := w.new.root.MkdirAll(inside(path.Dir(t.Path)), 0o755); err != nil {
		return err
	}
	_ = w.new.root.Remove(inside(t.Path)) // a link would be followed
	return w.new.root.WriteFile(inside(t.Path), []byte(t.Text), 0o644)
}

// maxText is the limit of a returned file, in bytes.
const maxText = 1 << 20

// read adds the files that match a pattern to the answer.
func (w *work) read(pattern string) error {
	texts := func(s *side, base bool) error {
		found, err := fs.Glob(s.root.FS(), inside(pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			fi, err := s.root.Stat(f)
			if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxText {
				continue
			}
			data, err := s.root.ReadFile(f)
			if err != nil {
				return err
			}
			p := "/" + f
			w.texts = append(w.texts, Text{p, string(data), base, !base && w.same(w.old, w.base, p)})
		}
		return nil
	}
	return errors.Join(texts(w.old, false), texts(w.base, true))
}
