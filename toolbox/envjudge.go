package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/variables"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Inside looks into a toolbox.
type Inside interface {
	// Exists reports whether anything is at an absolute path inside.
	Exists(path string) bool
	// LookPath returns why a command is not found by the PATH of env, from dir; or nil.
	LookPath(command string, env []string, dir string) error
	// Runs returns the program that an absolute path leads to inside. ok: the kernel can
	// start it there.
	Runs(path string) (real string, ok bool)
}

// judge adapts the caller's variables to one toolbox.
type judge struct {
	record   *join.Record
	inside   Inside // nil: nothing can look into it
	caller   []string
	terminal string   // name of the session's terminal inside
	left     []string // directories of activated environments that do not reach the toolbox
	gone     []string // and the variables that name them
}

// forward sets the variables in env that reach the toolbox, and returns those that can
// only be judged by its PATH.
func (j *judge) forward(env *environ, block []string) (later []variables.Variable) {
	var along []variables.Variable
	for _, kv := range j.caller {
		name, value, ok := strings.Cut(kv, "=")
		v, _ := variables.Look(name)
		if !ok || !forwarded(v, j.record, block) {
			continue
		}
		switch v.Meaning {
		case variables.Along:
			along = append(along, v)
		case variables.Program, variables.Filter:
			later = append(later, v)
		case variables.Search:
			if dirs := j.search(v.Name, value, env.get(v.Name)); dirs != "" {
				env.set(name, dirs)
			}
		default:
			if value, ok := j.value(v, value); ok {
				env.set(name, value)
			}
		}
	}
	for _, v := range along {
		if !slices.Contains(j.gone, v.Of) {
			env.set(v.Name, lookup(j.caller, v.Name))
		}
	}
	return later
}

// value returns the value of a variable that is right inside, if there is one.
func (j *judge) value(v variables.Variable, value string) (string, bool) {
	switch v.Meaning {
	case variables.Path:
		return j.path(value)
	case variables.Paths:
		return list(value, j.path)
	case variables.Place:
		return j.place(value, j.path)
	case variables.Tree:
		return j.place(value, nil)
	case variables.Trees:
		return list(value, func(dir string) (string, bool) { return j.place(dir, nil) })
	case variables.Address:
		return j.address(value)
	case variables.Options:
		return j.options(value)
	case variables.Zone:
		return j.zone(value)
	case variables.Activated:
		return j.activated(v.Name, value)
	case variables.Terminal:
		if j.terminal != "" {
			return j.terminal, true
		}
	}
	return value, true
}

// shared returns the place of a host path inside, if the toolbox has it.
func (j *judge) shared(path string) (string, bool) {
	if join.Below(path, "/dev") || join.Below(path, "/proc") {
		return path, true
	}
	clean := filepath.Clean(path)
	inside, ok := j.record.Shared(clean)
	if ok && inside == clean {
		return path, true
	}
	return inside, ok
}

// path returns the place of a host file or directory inside. A missing one is judged by
// its directory. A relative path means the same as on the host.
func (j *judge) path(path string) (string, bool) {
	if !filepath.IsAbs(path) {
		return path, true
	}
	if inside, ok := j.shared(path); ok {
		return inside, true
	}
	if j.inside == nil {
		return join.HostView + path, j.record.HostFiles
	}
	real := resolved(path)
	if inside, ok := j.shared(real); ok {
		return inside, true
	}
	if !j.record.HostFiles {
		return "", false
	}
	for _, p := range []string{path, real} {
		if j.inside.Exists(join.HostView+p) || j.inside.Exists(join.HostView+filepath.Dir(p)) && filepath.Dir(p) != "/" {
			return join.HostView + p, true
		}
	}
	return "", false
}

// resolved follows the host's links in a path whose last part may be missing.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// place keeps a path if the toolbox has something at it. Otherwise it returns other's
// result; other may be nil.
func (j *judge) place(path string, other func(string) (string, bool)) (string, bool) {
	if !filepath.IsAbs(path) {
		return path, true
	}
	if inside, ok := j.shared(path); ok {
		return inside, true
	}
	if j.inside != nil && j.inside.Exists(path) {
		return path, true
	}
	if other != nil {
		return other(path)
	}
	if real := resolved(path); real != path {
		return j.shared(real)
	}
	return "", false
}

// list judges each part of a list. Empty parts have a meaning, but not alone.
func list(value string, judge func(string) (string, bool)) (string, bool) {
	var out []string
	some := value == ""
	for part := range strings.SplitSeq(value, ":") {
		if part == "" {
			out = append(out, part)
		} else if inside, ok := judge(part); ok {
			out, some = append(out, inside), true
		}
	}
	return strings.Join(out, ":"), some
}

// search puts the caller's shared directories before the toolbox's own. It returns "" if
// there are none.
func (j *judge) search(name, value, own string) string {
	judge := j.shared
	if name == "TERMINFO_DIRS" { // data, and the host's own are added anyway
		judge = func(dir string) (string, bool) {
			if slices.Contains([]string{"/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo"}, dir) {
				return "", false
			}
			return j.path(dir)
		}
	}
	var out []string
	for dir := range strings.SplitSeq(value, ":") {
		if !filepath.IsAbs(dir) {
			continue
		}
		if inside, ok := judge(dir); ok {
			out = append(out, inside)
		}
	}
	if len(out) == 0 {
		return ""
	}
	if own == "" {
		own = map[string]string{
			"XDG_DATA_DIRS": "/usr/local/share:/usr/share", "XDG_CONFIG_DIRS": "/etc/xdg",
			"XCURSOR_PATH": "~/.icons:/usr/share/icons:/usr/share/pixmaps",
		}[name]
	}
	if own == integration.TerminfoDirs { // it begins with the empty part, for the image's own
		return strings.Join(out, ":") + own
	}
	return strings.Join(append(out, own), ":")
}

// address judges the first path of an address.
func (j *judge) address(value string) (string, bool) {
	for _, word := range []string{"unix:path=", "FILE:", "DIR:", "unix:", ""} {
		path, ok := strings.CutPrefix(value, word)
		if !ok || !filepath.IsAbs(path) {
			continue
		}
		rest := ""
		if i := strings.IndexAny(path, ",;"); i >= 0 { // more keys, or more addresses
			path, rest = path[:i], path[i:]
		}
		inside, ok := j.path(path)
		return word + inside + rest, ok
	}
	return value, true
}

// zone finds a time zone inside. For a name without a file, programs would show that name
// with the time of Greenwich; without the variable they show at least the host's zone.
func (j *judge) zone(value string) (string, bool) {
	name := strings.TrimPrefix(value, ":")
	switch {
	case name == "", name == "UTC", name == "GMT", j.inside == nil:
		return value, true
	case filepath.IsAbs(name):
		path, ok := j.place(name, j.path)
		return ":" + path, ok
	}
	for _, dir := range []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/zoneinfo"} {
		if j.inside.Exists(filepath.Join(dir, name)) {
			return value, true
		}
	}
	known := false
	for _, dir := range []string{lookup(j.caller, "TZDIR"), "/usr/share/zoneinfo", "/etc/zoneinfo"} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); dir == "" || err != nil {
			continue
		}
		known = true
		if path, ok := j.path(file); ok {
			return ":" + path, true
		}
	}
	return value, !known // a value that is no zone of the host is a rule, such as CET-1CEST
}

// mergePath puts the shared directories of the caller's PATH around the toolbox's own: in
// front if the caller has them before the system's, else behind.
func (j *judge) mergePath(box, host string) string {
	var front, back []string
	system := false
	for _, dir := range filepath.SplitList(host) {
		if dir == "/usr/bin" || dir == "/bin" {
			system = true
			continue
		}
		inside, ok := j.pathEntry(dir)
		switch {
		case !ok:
		case system:
			back = append(back, inside)
		default:
			front = append(front, inside)
		}
	}
	var out []string
	for _, dir := range slices.Concat(front, filepath.SplitList(box), back) {
		if dir != "" && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return strings.Join(out, ":")
}

// pathEntry returns the place inside of a directory of the caller's PATH, if it is shared
// and useful there. The home itself holds no programs.
func (j *judge) pathEntry(dir string) (string, bool) {
	if !filepath.IsAbs(dir) || slices.Contains(boxinit.SystemPath, dir) || join.Below(dir, "/dev") || join.Below(dir, "/proc") {
		return "", false
	}
	if slices.ContainsFunc(j.left, func(left string) bool { return join.Below(filepath.Clean(dir), left) }) {
		return "", false
	}
	inside, ok := j.record.Shared(filepath.Clean(dir))
	if !ok && j.inside != nil {
		inside, ok = j.record.Shared(resolved(dir))
	}
	if !ok || inside == j.record.Home || slices.ContainsFunc(j.record.Mounts, func(m join.Mapping) bool { return m.Box == inside }) {
		return "", false
	}
	if inside == filepath.Clean(dir) {
		inside = dir
	}
	return inside, j.inside == nil || j.shimsWork(inside)
}
