// Package programs finds tbx's own programs, beside the running one or where packages put
// them. It must not use PATH: the program becomes this process, or runs as root.
package programs

import (
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/inherited"
)

const (
	front = "tbx"        // what users call
	Full  = "tbx-podman" // every command, with podman's bindings
	Box   = "tbx-box"    // the program inside
)

// Find returns the path of the program name.
func Find(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(self)
	places := []string{dir, filepath.Join(dir, "../libexec/tbx"), "/usr/libexec/tbx"}
	if name == front {
		places = []string{dir, filepath.Join(dir, "../../bin"), "/usr/bin"}
	}
	for _, p := range places {
		path := filepath.Join(p, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fail.New(fail.Unable, "%s, a part of tbx, is missing in %s", name, dir).
		Hint("install it beside tbx, as make install does, or build it with make")
}

// Front returns the path of tbx as users call it, or of this program if there is no
// other.
func Front() (string, error) {
	if path, err := Find(front); err == nil {
		return path, nil
	}
	return os.Executable()
}

// Become replaces this process by the program name, with the same arguments and
// environment. On success it does not return.
func Become(name string) error {
	path, err := Find(name)
	if err != nil {
		return err
	}
	env := os.Environ()
	if name == Full {
		env = withoutSettings(env)
	}
	return inherited.Become(path, os.Args, env)
}
