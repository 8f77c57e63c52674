// Package session keeps the host sessions that toolboxes are entered from: the
// environment and umask that a host command gets, so that DISPLAY and
// SSH_AUTH_SOCK are those of the terminal that the toolbox was entered from.
//
// A session is a file below the agent's private directory, named by its content.
// tbx writes it and the agent reads it, so that an entry need not talk to the
// agent. It is on the way of every entry: standard library and x/sys only.
package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/eintr"
)

// Session is the host's environment of one or many entries.
type Session struct {
	Umask int
	Env   []string // NAME=VALUE, in the caller's order
}

const (
	nameSize = 16  // hex digits
	keep     = 256 // sessions; the oldest go when one is added
	maxSize  = 4 << 20
)

// Passing reports whether a variable differs between two entries from the same terminal.
// Sessions and host commands do not have it.
func Passing(name string) bool {
	return slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES"}, name)
}

// New returns the session of a caller.
func New(env []string, umask int) Session {
	return Session{umask, slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return Passing(name)
	})}
}

func (s Session) encode() []byte {
	return []byte(strconv.Itoa(s.Umask) + "\x00" + strings.Join(s.Env, "\x00"))
}

// Name is the session's name, 16 hex digits.
func (s Session) Name() string {
	sum := sha256.Sum256(s.encode())
	return hex.EncodeToString(sum[:nameSize/2])
}

// Dir is where sessions are below the bridge's directory.
func Dir(bridge string) string { return filepath.Join(bridge, "agent", "sessions") }

// Save writes the session below the bridge's directory, whose part agent/ is
// there and private, and makes it the latest. It returns the name.
func (s Session) Save(bridge string) (string, error) {
	dir, name := Dir(bridge), s.Name()
	if touch(dir, name) {
		return name, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	prune(dir)
	return name, atomicfile.WriteVolatile(filepath.Join(dir, name), s.encode(), 0o600)
}

func touch(dir, name string) bool { return unix.Utimes(filepath.Join(dir, name), nil) == nil }

// prune makes room for one more. A command of an entry that old gets the latest.
func prune(dir string) {
	for names := byAge(dir); len(names) >= keep; names = names[:len(names)-1] {
		os.Remove(filepath.Join(dir, names[len(names)-1]))
	}
}

// byAge lists the sessions, the latest first.
func byAge(dir string) []string {
	entries, _ := os.ReadDir(dir)
	age := map[string]time.Time{}
	var names []string
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && isName(e.Name()) {
			age[e.Name()] = fi.ModTime()
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return age[b].Compare(age[a]) })
	return names
}

// isName refuses names from which a toolbox could build a path.
func isName(s string) bool {
	return len(s) == nameSize && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}

// Load returns the session called name, or the latest if there is no such, and
// fs.ErrNotExist if there is none at all.
func Load(bridge, name string) (Session, error) {
	dir := Dir(bridge)
	if isName(name) {
		if s, err := read(filepath.Join(dir, name)); err == nil {
			return s, nil
		}
	}
	for _, n := range byAge(dir) {
		if s, err := read(filepath.Join(dir, n)); err == nil {
			return s, nil
		}
	}
	return Session{}, fs.ErrNotExist
}

func read(path string) (Session, error) {
	data, err := os.ReadFile(path)
	if err != nil || len(data) > maxSize {
		return Session{}, errors.Join(err, fs.ErrInvalid)
	}
	mask, env, _ := strings.Cut(string(data), "\x00")
	s := Session{}
	if s.Umask, err = strconv.Atoi(mask); err != nil {
		return s, err
	}
	if env != "" {
		s.Env = strings.Split(env, "\x00")
	}
	return s, nil
}

// Served reports whether an agent serves the toolbox with this boxDir, as far as the
// file system tells: the agent holds its lock, and socket and token are there. The agent
// removes the socket when the toolbox ends.
func Served(bridge, boxDir string) bool {
	if unix.Access(filepath.Join(boxDir, "sock"), unix.F_OK) != nil || unix.Access(filepath.Join(boxDir, "token"), unix.F_OK) != nil {
		return false
	}
	fd, err := eintr.Open(filepath.Join(bridge, "agent", "lock"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(eintr.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
