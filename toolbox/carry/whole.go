package carry

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// whole brings along the contents of a directory of the old toolbox that are not as its
// image or a package brought them, and not in the new one. If both have different things
// under a name, the user's is put beside.
func (w *work) whole(dir string) {
	fi, foreign := w.old.entry(dir)
	if fi == nil || !fi.IsDir() || foreign || w.skipped(dir) {
		return
	}
	if _, mounted := w.new.entry(dir); mounted {
		return
	}
	if now, _ := w.new.entry(dir); now == nil && !w.mixed(dir) {
		w.take("directory", dir, dir, Taken)
		return
	}
	for _, name := range w.old.names(dir) {
		p := path.Join(dir, name)
		fi, foreign := w.old.entry(p)
		now, mounted := w.new.entry(p)
		switch {
		case fi == nil, foreign, mounted, w.skipped(p), strings.HasSuffix(p, besideEnding):
		case fi.IsDir() && (now == nil || now.IsDir()):
			w.whole(p)
		case w.owned[p], w.same(w.old, w.base, p), w.same(w.old, w.new, p):
		case now == nil:
			w.take("file", p, p, Taken)
		default:
			w.take("file", p, p+besideEnding, Beside)
		}
	}
}

// mixed reports whether a directory has something that must not come along: from the
// image, from packages, or from another mount.
func (w *work) mixed(dir string) bool {
	if was, _ := w.base.entry(dir); was != nil {
		return true
	}
	for _, name := range w.old.names(dir) {
		p := path.Join(dir, name)
		fi, foreign := w.old.entry(p)
		switch {
		case foreign, w.owned[p] && fi != nil && !fi.IsDir(), w.skipped(p):
			return true
		case fi != nil && fi.IsDir() && w.mixed(p):
			return true
		}
	}
	return false
}

// notLooked are directories with nothing that a user would miss, or that are handled
// elsewhere.
var notLooked = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/cache", "/var/run", "/var/log", "/boot", "/.tbx-carry"}

// look lists what is in the old toolbox, neither from its image nor from a package, and
// in no directory that comes along. It lists a directory with nothing else in it as one.
func (w *work) look(homes []string) {
	w.lookIn("/", slices.Concat(notLooked, w.Rule, w.Whole, homes))
}

func (w *work) lookIn(dir string, not []string) {
	for _, name := range w.old.names(dir) {
		p := path.Join(dir, name)
		fi, foreign := w.old.entry(p)
		if fi == nil || foreign || slices.Contains(not, p) || w.skipped(p) || w.owned[p] && !fi.IsDir() {
			continue
		}
		was, _ := w.base.entry(p)
		now, _ := w.new.entry(p)
		switch {
		case fi.IsDir() && (was != nil || now != nil || w.owned[p]):
			w.lookIn(p, not)
		case was != nil && (fi.Mode()&fs.ModeSymlink != 0 || was.Size() == fi.Size() && was.ModTime().Equal(fi.ModTime())):
		case now != nil: // the new release has its own
		case fi.IsDir():
			w.say("directory", p, Left, "")
		case fi.Mode().IsRegular():
			w.say("file", p, Left, "")
		}
	}
}
