package boxinit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// runRule is a rule of tmpfiles.d(5) about a path in /run.
type runRule struct {
	kind     byte // d a directory, f a file, L a link
	path     string
	mode     os.FileMode
	user     string
	group    string
	argument string // the content of the file, or the target of the link
}

// tmpfilesDirs are the directories of rules. A file hides one of that name in a later
// directory.
var tmpfilesDirs = []string{"/etc/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"}

// notRuled are the paths in /run that tbx shows from the host or leaves to podman, and
// those that describe the boot or the first process: with nologin(5) nobody may log in
// until systemd removes it.
var notRuled = []string{"/run/systemd", "/run/udev", "/run/user", "/run/host", "/run/tbx", "/run/log", "/run/nologin", "/run/initctl"}

// runRules reads the rules about /run. It skips an invalid file or line: a boot would
// report it and go on, too.
func (b *box) runRules() []runRule {
	files := map[string]string{}
	for _, dir := range tmpfilesDirs {
		for _, name := range names(b.root + dir) {
			if _, hidden := files[name]; !hidden && strings.HasSuffix(name, ".conf") {
				files[name] = dir + "/" + name
			}
		}
	}
	sorted := make([]string, 0, len(files))
	for name := range files {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var out []runRule
	for _, name := range sorted {
		data, err := b.readThrough(files[name])
		if err != nil {
			continue // also /dev/null, which hides the others
		}
		for _, line := range strings.Split(string(data), "\n") {
			if r, ok := parseRunRule(line); ok {
				out = append(out, r)
			}
		}
	}
	return out
}

func parseRunRule(line string) (runRule, bool) {
	f := strings.Fields(line)
	if len(f) < 2 || strings.HasPrefix(f[0], "#") || strings.ContainsAny(f[0][1:], "^$") {
		return runRule{}, false
	}
	field := func(i int) string {
		if i < len(f) && f[i] != "-" {
			return strings.TrimLeft(f[i], ":~")
		}
		return ""
	}
	path, inRun := cutRun(strings.Trim(strings.Replace(f[1], "%t/", "/run/", 1), `"`))
	r := runRule{path: path, user: field(3), group: field(4)}
	if !inRun || strings.ContainsAny(path, "%*?[") || slices.ContainsFunc(notRuled, func(p string) bool { return below(path, p) }) {
		return r, false
	}
	switch f[0][0] {
	case 'd', 'D', 'v', 'q', 'Q':
		r.kind, r.mode = 'd', 0o755
	case 'f', 'F':
		r.kind, r.mode = 'f', 0o644
	case 'L':
		r.kind = 'L'
	default:
		return r, false
	}
	if mode := field(2); mode != "" {
		n, err := strconv.ParseUint(mode, 8, 12)
		if err != nil {
			return r, false
		}
		r.mode = modeOf(uint32(n))
	}
	if len(f) > 6 {
		r.argument = strings.Join(f[6:], " ")
	}
	return r, !strings.Contains(r.argument, "%") && (r.kind != 'L' || r.argument != "")
}

// modeOf converts permission bits of the kernel to Go's.
func modeOf(n uint32) os.FileMode {
	mode := os.FileMode(n & 0o777)
	for bit, m := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if n&bit != 0 {
			mode |= m
		}
	}
	return mode
}

// apply carries out a rule, unless something is there.
func (b *box) apply(r runRule) error {
	if b.exists(r.path) {
		return nil
	}
	uid, ok1 := b.number("/etc/passwd", r.user)
	gid, ok2 := b.number("/etc/group", r.group)
	if !ok1 || !ok2 { // of a package that was removed
		return nil
	}
	if err := b.mkdir(filepath.Dir(r.path)); err != nil {
		return err
	}
	full := b.root + r.path
	switch r.kind {
	case 'd':
		if err := os.Mkdir(full, 0o700); err != nil {
			return err
		}
	case 'f':
		if err := b.create(r.path, []byte(r.argument), r.mode.Perm()); err != nil {
			return err
		}
	case 'L':
		return b.link(r.path, r.argument)
	default:
		return fmt.Errorf("a rule of kind %q", r.kind)
	}
	if b.root == "" {
		if err := os.Lchown(full, uid, gid); err != nil {
			return err
		}
	}
	return os.Chmod(full, r.mode)
}

// number finds a user or group, by name or number, in a table; "" is root.
func (b *box) number(table, name string) (int, bool) {
	if name == "" {
		return 0, true
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n, true
	}
	data, err := b.readThrough(table)
	if err != nil {
		return 0, false
	}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[0] == name {
			n, err := strconv.Atoi(f[2])
			return n, err == nil
		}
	}
	return 0, false
}
