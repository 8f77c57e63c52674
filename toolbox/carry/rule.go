package carry

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// rule brings a path and everything below it along, by the rule of three.
func (w *work) rule(p string) {
	if w.skipped(p) || strings.HasSuffix(p, besideEnding) {
		return
	}
	fi, foreign := w.old.entry(p)
	was, _ := w.base.entry(p)
	now, mounted := w.new.entry(p)
	switch {
	case foreign, mounted, fi == nil && was == nil:
	case fi == nil && was.IsDir(), fi != nil && fi.IsDir() && was != nil && was.IsDir() && now != nil && now.IsDir():
		w.below(p)
	case fi == nil:
		w.removed(p, now)
	case fi.IsDir():
		w.ruleDir(p, was, now)
	case fi.Mode().IsRegular() || fi.Mode()&fs.ModeSymlink != 0:
		w.ruleFile(p, fi, now)
	}
}

// below is rule for the contents of a directory.
func (w *work) below(dir string) {
	names := slices.Concat(w.old.names(dir), w.base.names(dir))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		w.rule(path.Join(dir, name))
	}
}

// ruleDir brings a directory of the user along whole, if the new toolbox has none.
func (w *work) ruleDir(p string, was, now fs.FileInfo) {
	if now == nil && was == nil && !w.owned[p] && !w.anyOwned(p) {
		w.take("directory", p, p, Taken)
		return
	}
	if now != nil && !now.IsDir() {
		w.say("directory", p, Lost, "it is not a directory in the new release")
		return
	}
	w.below(p)
}

// anyOwned reports whether files of packages are below a directory.
func (w *work) anyOwned(dir string) bool {
	for p := range w.Defaults {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

// ruleFile decides about one file of the old toolbox.
func (w *work) ruleFile(p string, fi, now fs.FileInfo) {
	switch decide(w.asPackaged(w.old, p) || w.same(w.old, w.base, p), now != nil,
		now != nil && w.same(w.old, w.new, p), now != nil && (w.asPackaged(w.new, p) || w.same(w.base, w.new, p))) {
	case nothing:
	case users:
		if fi.Mode()&fs.ModeSymlink != 0 && now == nil && !w.leads(p) {
			if !w.Dry { // otherwise packages may bring it later
				w.say("file", p, Lost, "it is a link to something that is not in the new release")
			}
			return
		}
		w.take("file", p, p, Taken)
	case both:
		if fi.Mode()&fs.ModeSymlink != 0 { // beside, it could count as a setting, as in a directory of units
			w.say("file", p, Lost, "the new release has another one by that name; yours is a link")
			return
		}
		w.take("file", p, p+besideEnding, Beside)
	}
}

// choice is the file that the new toolbox gets.
type choice int

const (
	nothing choice = iota // the new toolbox's, as it is
	users                 // the user's
	both                  // the new toolbox's, with the user's beside it
)

// decide is the rule of three for a file of the old toolbox: whether it is as the old
// image or its package brought it, and whether the new toolbox has one of that name, the
// same one, or the old image's.
func decide(unchanged, there, same, asBefore bool) choice {
	switch {
	case unchanged, there && same:
		return nothing
	case !there, asBefore:
		return users
	}
	return both
}

// take copies, or only reports it.
func (w *work) take(kind, p, as, what string) {
	if !w.Dry {
		if err := w.place(p, as); err != nil {
			w.lost(kind, p, err)
			return
		}
	}
	note := ""
	if what == Beside {
		note = "yours is " + as
	}
	w.say(kind, p, what, note)
}

// removed decides about a file of the old image, or of a package, that the user removed.
func (w *work) removed(p string, now fs.FileInfo) {
	switch {
	case now == nil || now.IsDir():
	case !w.same(w.base, w.new, p):
		w.say("file", p, Stays, "you had removed it; the new release brings another one")
	case w.Dry:
		w.say("file", p, Removed, "")
	default:
		if err := w.new.root.Remove(inside(p)); err != nil {
			w.lost("file", p, err)
			return
		}
		w.say("file", p, Removed, "")
	}
}

// leads reports whether a link of the old toolbox leads to something in the new one.
func (w *work) leads(p string) bool {
	to, err := w.old.root.Readlink(inside(p))
	if err != nil {
		return false
	}
	if !path.IsAbs(to) {
		to = path.Join(path.Dir(p), to)
	}
	if to == "/dev/null" { // a unit that is masked
		return true
	}
	_, err = w.new.root.Lstat(inside(to))
	if err != nil { // it may come along itself
		_, err = w.old.root.Lstat(inside(to))
		return err == nil && slices.ContainsFunc(slices.Concat(w.Rule, w.Whole), func(dir string) bool { return strings.HasPrefix(to, dir+"/") })
	}
	return true
}

// same reports whether two sides have the same at a path: type, content, mode and owner.
// A missing one is not the same.
func (w *work) same(a, b *side, p string) bool {
	x, errX := a.root.Lstat(inside(p))
	y, errY := b.root.Lstat(inside(p))
	if errX != nil || errY != nil || x.Mode() != y.Mode() {
		return false
	}
	uid, gid := owner(x)
	uid2, gid2 := owner(y)
	if uid != uid2 || gid != gid2 {
		return false
	}
	if x.Mode()&fs.ModeSymlink != 0 {
		to, err := a.root.Readlink(inside(p))
		to2, err2 := b.root.Readlink(inside(p))
		return err == nil && err2 == nil && merged(to) == merged(to2)
	}
	if !x.Mode().IsRegular() || x.Size() != y.Size() {
		return false
	}
	return bytes.Equal(a.digest(p, sha256.New()), b.digest(p, sha256.New()))
}

// merged returns a link's target without /usr, because /lib and others are links into it.
func merged(to string) string { return strings.TrimPrefix(to, "/usr") }

// asPackaged reports whether a file is as a package of the old toolbox brought it.
func (w *work) asPackaged(s *side, p string) bool {
	algorithm, want, ok := strings.Cut(w.Defaults[p], ":")
	if !ok {
		return false
	}
	var h hash.Hash
	switch algorithm {
	case "md5":
		h = md5.New()
	case "sha1":
		h = sha1.New()
	case "sha256":
		h = sha256.New()
	default:
		return false
	}
	return hex.EncodeToString(s.digest(p, h)) == want
}

// digest is of a regular file; of anything else it is its own.
func (s *side) digest(p string, h hash.Hash) []byte {
	fi, err := s.root.Lstat(inside(p))
	if err != nil || !fi.Mode().IsRegular() {
		return []byte(p)
	}
	f, err := s.root.Open(inside(p))
	if err != nil {
		return []byte("unread")
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return []byte("unread")
	}
	return h.Sum(nil)
}
