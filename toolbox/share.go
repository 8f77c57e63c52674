package toolbox

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// parseShare parses DIRECTORY[:ro] from a specification. Other options of podman, such as
// :rw and :z, count as part of the name, and are then not found.
func parseShare(v string) (dir string, readOnly bool) { return strings.CutSuffix(v, ":ro") }

// shares returns the directories of all --share, and the places of the links that led to
// them. A read-only share of the home means its present directories, except those that
// --share would refuse. That is a list of what is shown. Showing the home and covering
// its secrets would hold only until a secret is rewritten: the kernel removes a mount
// when its mount point is replaced from another mount namespace.
func shares(h *Host, wanted []string) (out, links []string, err error) {
	readOnly := map[string]bool{}
	home := false
	for _, v := range wanted {
		dir, ro := parseShare(v)
		if ro && isHome(h, dir) {
			home = true
			continue
		}
		real, way, err := resolveShare(h, dir)
		if err != nil {
			return nil, nil, err
		}
		links = append(links, way...)
		if before, ok := readOnly[real]; ok && before != ro {
			return nil, nil, fail.New(fail.Usage, "%s is shared twice, once to read and once to change", real)
		}
		readOnly[real] = ro
	}
	if home {
		dirs, err := homeShares(h)
		if err != nil {
			return nil, nil, err
		}
		for _, dir := range dirs {
			if _, ok := readOnly[dir]; !ok { // else it is shared by name, perhaps for changes
				readOnly[dir] = true
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(readOnly)) {
		if readOnly[dir] {
			dir += ":ro"
		}
		out = append(out, dir)
	}
	return out, links, nil
}

// isHome reports whether dir is the home, by any path.
func isHome(h *Host, dir string) bool {
	abs, err := filepath.Abs(expandHome(h, dir))
	if err != nil || dir == "" {
		return false
	}
	real, err := filepath.EvalSymlinks(abs)
	return err == nil && real == h.RealHome
}

// homeShares returns the directories of the home that may be shared.
func homeShares(h *Host) ([]string, error) {
	entries, err := os.ReadDir(h.RealHome)
	if err != nil {
		return nil, fail.Wrap(nil, err, "your home cannot be shared")
	}
	var out []string
	for _, e := range entries {
		dir := filepath.Join(h.RealHome, e.Name())
		if e.IsDir() && checkShare(h, dir) == nil {
			out = append(out, dir)
		}
	}
	if out == nil {
		return nil, fail.New(fail.NotFound, "your home cannot be shared: it has no directory but hidden ones").
			Hint("make one for the files that the toolbox may read: mkdir %s", filepath.Join(h.Home, "shared"))
	}
	return out, nil
}

func expandHome(h *Host, dir string) string {
	if dir == "~" {
		return h.Home
	}
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		return filepath.Join(h.Home, rest)
	}
	return dir
}

// wholeSource completes the source of a volume that begins at the home or the current
// directory. podman's volumes have no slash in their names.
func wholeSource(h *Host, volume string) string {
	volume = expandHome(h, volume)
	source, rest, _ := strings.Cut(volume, ":")
	if abs, err := filepath.Abs(source); err == nil && strings.Contains(source, "/") && !filepath.IsAbs(source) && rest != "" {
		return abs + ":" + rest
	}
	return volume
}

// follow returns the target of an absolute path, without links, and the places of the
// links on the way, themselves without links. Even if something is replaced meanwhile,
// every directory on the way is covered by one of the two.
func follow(path string) (real string, links []string, err error) {
	real, rest := "/", strings.Split(path, "/")
	for len(rest) > 0 {
		name := rest[0]
		if rest = rest[1:]; name == "" || name == "." {
			continue
		} else if name == ".." {
			real = filepath.Dir(real)
			continue
		}
		next := filepath.Join(real, name)
		to, err := os.Readlink(next)
		if errors.Is(err, unix.EINVAL) { // not a link
			real = next
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if links = append(links, next); len(links) > maxLinks {
			return "", nil, &os.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		if filepath.IsAbs(to) {
			real = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return real, links, nil
}

// maxLinks is the kernel's own limit, path_resolution(7).
const maxLinks = 40

// resolveShare returns the directory of a --share, without links: tbx checks exactly the
// path that will be mounted. links are the places of the links that led there.
func resolveShare(h *Host, dir string) (real string, links []string, err error) {
	abs, err := filepath.Abs(expandHome(h, dir))
	if dir == "" || err != nil {
		return "", nil, fail.New(fail.Usage, "--share %q: it must be a directory", dir)
	}
	if real, links, err = follow(abs); err != nil {
		if name, option, ok := strings.Cut(abs, ":"); ok {
			return "", nil, fail.New(fail.Usage, "--share %s:%s: after a directory there is only :ro", name, option).
				Hint("without it, the toolbox can change the directory")
		}
		return "", nil, fail.Wrap(fail.NotFound, err, "%s cannot be shared", abs).Hint("make it with: mkdir -p %s", abs)
	}
	if fi, err := os.Stat(real); err != nil || !fi.IsDir() {
		return "", nil, fail.New(fail.Usage, "%s cannot be shared: it is not a directory", real).Hint("share the directory that it is in")
	}
	return real, links, checkShare(h, real)
}

// checkShare refuses a directory, given without links, that would be a way out of an
// isolated toolbox.
func checkShare(h *Host, dir string) error {
	refuse := func(why string) *fail.Error {
		return fail.New(fail.Usage, "%s cannot be shared with an isolated toolbox: %s", dir, why).
			Hint("share a directory that has nothing but your project in it, such as ~/src/project")
	}
	for _, home := range real(h.Home, h.RealHome) {
		if join.Below(home, dir) {
			return refuse("your home is in it, or it is your home").
				Hint("to let the toolbox read your home without hidden directories: --share ~:ro")
		}
		rest, ok := strings.CutPrefix(dir, home+"/")
		first, _, _ := strings.Cut(rest, "/")
		switch {
		case !ok:
		case strings.HasPrefix(first, "."):
			return refuse("hidden directories of your home hold keys, settings and programs that your session starts")
		case first == "bin":
			return refuse("your shell looks there for commands")
		}
	}
	for _, place := range real(h.RuntimeDir, h.Dirs.Config, h.Dirs.Data, h.Dirs.State, h.Dirs.Cache, "/run", "/proc", "/sys", "/dev",
		"/etc", "/boot") {
		if join.Below(place, dir) || join.Below(dir, place) {
			return refuse(place + " belongs to the host")
		}
	}
	for _, place := range real("/usr", "/bin", "/sbin", "/lib", "/lib64", "/var", "/tmp") {
		if join.Below(place, dir) || join.Below(dir, place) && place != "/var" && place != "/tmp" {
			return refuse(place + " belongs to the host, and the toolbox has its own")
		}
	}
	return nil
}

// real adds to places their paths without links.
func real(places ...string) []string {
	var out []string
	for _, p := range places {
		if p == "" {
			continue
		}
		out = append(out, p)
		if r, err := filepath.EvalSymlinks(p); err == nil && r != p {
			out = append(out, r)
		}
	}
	return out
}

// checkSharesStill is the check at every start: if a share has become a link since, or
// has one on its way, it leads elsewhere than it was allowed to.
func checkSharesStill(h *Host, s *Spec) error {
	for _, m := range s.sharedSources() {
		now, err := filepath.EvalSymlinks(m)
		if err != nil {
			return fail.Wrap(fail.NotFound, err, "%s, which the toolbox shares, is not there", m).Hint("make it with: mkdir -p %s", m)
		}
		if now != m {
			return fail.New(nil, "%s, which the toolbox shares, is no longer the same directory: %s", m, now).
				Hint("put it back")
		}
		if err := checkShare(h, m); err != nil {
			return err
		}
	}
	return nil
}

// sharedSources are the host's directories that an isolated toolbox has.
func (s *Spec) sharedSources() []string {
	out := s.shareDirs()
	for _, v := range s.Volumes {
		if m, err := ParseVolume(v); err == nil && m.Type == "bind" {
			out = append(out, m.Source)
		}
	}
	return out
}

// shareDirs are the directories of --share.
func (s *Spec) shareDirs() []string {
	var out []string
	for _, v := range s.Share {
		dir, _ := parseShare(v)
		out = append(out, dir)
	}
	return out
}

// writableSources returns those of sharedSources that can be changed inside.
func (s *Spec) writableSources() []string {
	var out []string
	for _, v := range s.Share {
		if dir, readOnly := parseShare(v); !readOnly {
			out = append(out, dir)
		}
	}
	for _, v := range s.Volumes {
		if m, err := ParseVolume(v); err == nil && m.Type == "bind" && !slices.Contains(m.Options, "ro") {
			out = append(out, m.Source)
		}
	}
	return out
}

// checkOverlap refuses a directory inside another one that an isolated toolbox may
// change: a program there could replace it by a link, and at the next start podman would
// follow that to anything that the user can read. name is the new toolbox's.
func (m *Manager) checkOverlap(name Name, s *Spec) error {
	if !s.Isolated {
		return nil
	}
	if in, dir, ok := overlap(s, s); ok {
		return fail.New(fail.Usage, "%s cannot be shared as well as %s, which it is in and which the toolbox may change: a program "+
			"could put another directory in its place", in, dir).
			Hint("share %s alone, or %s to read: --share %s:ro", dir, dir, dir)
	}
	others := m.ephemeralSpecs()
	for _, other := range specNames(m.Host.Dirs.Config) {
		if o, err := loadSpec(m.Host.Dirs.Config, other); err == nil {
			others[other] = o
		}
	}
	for _, other := range slices.Sorted(maps.Keys(others)) {
		o := others[other]
		if !o.Isolated || other == name {
			continue
		}
		if in, dir, ok := overlap(s, o); ok {
			return fail.New(fail.Usage, "%s cannot be shared: it is in %s, which the isolated toolbox %s may change, and a program "+
				"there could put another directory in its place", in, dir, other).
				Hint("share %s itself, or a directory beside it", dir)
		}
		if in, dir, ok := overlap(o, s); ok {
			return fail.New(fail.Usage, "%s cannot be shared to be changed: %s is in it, which the isolated toolbox %s shares, and a "+
				"program could put another directory in its place", dir, in, other).
				Hint("share it to read: --share %s:ro", dir)
		}
	}
	return nil
}

// overlap finds a directory that a shares, or a link that led to one, inside a directory
// that b may change.
func overlap(a, b *Spec) (in, dir string, found bool) {
	for _, dir := range b.writableSources() {
		for _, in := range slices.Concat(a.sharedSources(), a.links) {
			if in != dir && join.Below(in, dir) {
				return in, dir, true
			}
		}
	}
	return "", "", false
}

// checkStorage refuses a directory that holds podman's storage, or is part of it,
// wherever storage.conf(5) puts it: its contents decide what containers get.
func checkStorage(s *Spec, c *Container) error {
	if !s.Isolated || c.NamesTable == "" {
		return nil
	}
	storage := filepath.Dir(filepath.Dir(c.NamesTable))
	for _, place := range real(storage) {
		for _, dir := range s.sharedSources() {
			if join.Below(place, dir) || join.Below(dir, place) {
				return fail.New(fail.Usage, "%s cannot be shared with an isolated toolbox: podman keeps its containers in %s", dir, storage).
					Hint("share a directory that has nothing but your project in it, such as ~/src/project")
			}
		}
	}
	return nil
}
