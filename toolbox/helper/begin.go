package helper

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Beginning is the order to begin a session in a toolbox that cannot be looked into from
// outside: in the first place that exists.
type Beginning struct {
	Dev, Ino uint64    // the caller's directory, stat(2)
	Places   []BeginAt // where it may be inside
	Below    string    // a directory below it, or ""
	Instead  []string  // alternatives for a shell, with a warning
	Why      string    // the message if there is none
	Hints    []string
}

// BeginAt is a directory inside.
type BeginAt struct {
	Dir  string
	Same bool // only if it is the caller's
}

// Begin is the first step into such a session. args are a Beginning, as JSON, and the
// command. It returns only on failure, with 125, 126 or 127.
func Begin(args []string) int {
	var b Beginning
	if len(args) < 2 || json.Unmarshal([]byte(args[0]), &b) != nil {
		return 125
	}
	dir, err := b.enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tbx:", err)
		for _, hint := range b.Hints {
			fmt.Fprintln(os.Stderr, "tbx: hint:", hint)
		}
		return 125
	}
	env := os.Environ()
	for i, kv := range env {
		if strings.HasPrefix(kv, "PWD=") {
			env[i] = "PWD=" + dir
		}
	}
	return become(args[1:], env)
}

// enter changes to the directory, and returns its name.
func (b *Beginning) enter() (string, error) {
	for _, p := range b.Places {
		if b.is(p) {
			dir := filepath.Join(p.Dir, b.Below)
			if err := unix.Chdir(dir); err != nil {
				return "", fmt.Errorf("no session can begin in directory %s: %w", dir, err)
			}
			return dir, nil
		}
	}
	for _, dir := range b.Instead {
		if unix.Chdir(dir) == nil {
			fmt.Fprintf(os.Stderr, "tbx: warning: %s; using %s\n", b.Why, dir)
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s", b.Why)
}

// is reports whether a session can begin in a place.
func (b *Beginning) is(p BeginAt) bool {
	fd, err := unix.Open(p.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	return !p.Same || unix.Fstat(fd, &st) == nil && st.Dev == b.Dev && st.Ino == b.Ino
}
