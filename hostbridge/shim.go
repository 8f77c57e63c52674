package hostbridge

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/internal/fail"
)

// Shims are links to tbx-box by the names of host commands, in a directory that
// toolboxes see.
type Shims struct {
	Dir string // on the host
	Box string // tbx-box on the host, below the parent of Dir
}

// DefaultShims are the shims of users who have chosen none.
func DefaultShims() []string {
	return []string{"bootc", "flatpak", "podman", "rpm-ostree", "systemctl", "tbx", "xdg-open"}
}

// List returns the names, sorted.
func (s Shims) List() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.Type() == fs.ModeSymlink {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Refresh makes the default shims where there is no directory yet, and points all shims
// to this tbx-box. It writes only differences.
func (s Shims) Refresh() error {
	names, err := s.List()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		names = DefaultShims()
	}
	for _, name := range names {
		if err := s.link(name); err != nil {
			return err
		}
	}
	return nil
}

// Add makes shims. It returns fail.Usage for an invalid name of a command.
func (s Shims) Add(names ...string) error {
	for _, name := range names {
		if !shimName(name) {
			return fail.New(fail.Usage, "%q cannot be the name of a shim", name).Hint("a name is made of letters, digits and . _ + -")
		}
	}
	if err := s.Refresh(); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.link(name); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes shims. It returns fail.NotFound for a missing one.
func (s Shims) Remove(names ...string) error {
	have, err := s.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(have, name) {
			return fail.New(fail.NotFound, "there is no shim %q", name).Hint("tbx shim list shows them")
		}
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			return fail.Wrap(nil, err, "shim %s", name)
		}
	}
	return nil
}

func shimName(name string) bool {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '-' && c != '+') {
			return false
		}
	}
	return name != "" && name != "tbx-box"
}

// link makes or corrects one link, in one step, relative because toolboxes see
// the directory elsewhere.
func (s Shims) link(name string) error {
	rel, err := filepath.Rel(s.Dir, s.Box)
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, name)
	if have, err := os.Readlink(path); err == nil && have == rel {
		return nil
	}
	err = os.MkdirAll(s.Dir, 0o755)
	tmp := filepath.Join(s.Dir, ".new-"+name)
	if err == nil {
		os.Remove(tmp)
		err = os.Symlink(rel, tmp)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fail.Wrap(nil, err, "shim %s", name)
	}
	return nil
}
