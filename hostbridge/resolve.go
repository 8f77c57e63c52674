package hostbridge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
)

// SystemPath is where a command without a slash is looked up, whatever PATH is in the
// toolbox or on the host: no directory that a toolbox can write to.
const SystemPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

// Program is a command resolved on the host.
type Program struct {
	Asked string // as the client wrote it
	Found string // absolute, before symlinks
	Real  string // absolute, without symlinks: what will be executed
	fixed bool   // only root can change Real and the way to it from Found
	path  string // SystemPath, or its replacement in tests
}

// Resolve finds a command in path (SystemPath). A name with a slash is used as it is and
// must be absolute. It returns fail.NotFound, or fail.Unable for a file that cannot be
// executed.
func Resolve(name, path string) (Program, error) {
	p := Program{Asked: name, path: path}
	switch {
	case name == "" || name[0] == '-':
		return p, fail.New(fail.Usage, "%q is not a command's name", name)
	case strings.Contains(name, "/"):
		if !filepath.IsAbs(name) {
			return p, fail.New(fail.NotFound, "%q: a path on the host must be absolute", name)
		}
		p.Found = filepath.Clean(name)
	default:
		p.Found = look(name, path)
		if p.Found == "" {
			return p, fail.New(fail.NotFound, "%s: no such command on the host", name).
				Hint("commands are looked up in %s", path)
		}
	}
	real, err := filepath.EvalSymlinks(p.Found)
	if err != nil {
		return p, fail.Wrap(fail.NotFound, err, "%s: no such command on the host", name)
	}
	p.Real = real
	if !executable(real) {
		return p, fail.New(fail.Unable, "%s: not an executable file", name)
	}
	p.fixed = rootonly.Check(p.Found) == nil
	return p, nil
}

func look(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); executable(file) {
			return file
		}
	}
	return ""
}

func executable(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}

// names returns all names of the program. Programs that act by their name (busybox,
// systemctl as reboot) have several.
func (p Program) names() []string {
	return []string{filepath.Base(p.Asked), filepath.Base(p.Found), filepath.Base(p.Real)}
}

func (p Program) privileged() bool {
	return slices.ContainsFunc(p.names(), func(name string) bool {
		name, _, _ = strings.Cut(name, ".") // mkfs.ext4
		return slices.Contains(privileged, name)
	})
}

// is reports whether the program is certainly the one that a rule names: found at the
// rule's path, called by that name, and safe from being replaced between this check and
// its execution.
func (p Program) is(named string) bool {
	if !p.fixed || filepath.Base(p.Found) != filepath.Base(named) { // most rules end here, and cost nothing
		return false
	}
	found := named
	if !strings.Contains(named, "/") {
		found = look(named, p.path)
	}
	if found == "" {
		return false
	}
	if found == p.Found {
		return true
	}
	real, err := filepath.EvalSymlinks(found)
	return err == nil && real == p.Real
}

// mayBe reports whether the program could be the one that a rule names, by any of its
// names or by its file. Denials use this.
func (p Program) mayBe(named string) bool {
	if slices.Contains(p.names(), filepath.Base(named)) {
		return true
	}
	real, err := filepath.EvalSymlinks(named)
	return strings.Contains(named, "/") && err == nil && real == p.Real && filepath.Base(real) != "busybox"
}
