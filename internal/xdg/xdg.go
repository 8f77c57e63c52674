// Package xdg says where tbx keeps its files, after the XDG Base Directory Specification
// 0.8. It reads the environment through a function, so that the caller chooses whose
// environment that is. It creates nothing except Runtime's fallback directory.
package xdg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// Dirs are the base directories of one user, absolute, with "tbx" appended.
type Dirs struct {
	Config string // $XDG_CONFIG_HOME/tbx: the user's own files
	Data   string // $XDG_DATA_HOME/tbx: tbx-box versions, exports
	State  string // $XDG_STATE_HOME/tbx: logs, records, unfinished work
	Cache  string // $XDG_CACHE_HOME/tbx
}

// Home returns the directories for a user whose home is home. A relative or
// empty variable is ignored, as the specification demands.
func Home(home string, getenv func(string) string) Dirs {
	dir := func(name, fallback string) string {
		if v := getenv(name); filepath.IsAbs(v) {
			return filepath.Join(v, "tbx")
		}
		return filepath.Join(home, fallback, "tbx")
	}
	return Dirs{
		Config: dir("XDG_CONFIG_HOME", ".config"),
		Data:   dir("XDG_DATA_HOME", ".local/share"),
		State:  dir("XDG_STATE_HOME", ".local/state"),
		Cache:  dir("XDG_CACHE_HOME", ".cache"),
	}
}

// RuntimeBase returns the user's runtime directory: $XDG_RUNTIME_DIR, else /run/user/UID,
// else a private directory in /tmp, which it makes. It skips the first two if others
// could change them. It never returns a relative path, or another user's directory.
func RuntimeBase(uid int, getenv func(string) string) (string, error) {
	return runtimeBase(uid, getenv("XDG_RUNTIME_DIR"), "/run/user", "/tmp")
}

func runtimeBase(uid int, asked, run, tmp string) (string, error) {
	for _, dir := range []string{asked, filepath.Join(run, strconv.Itoa(uid))} {
		if RuntimeProblem(uid, dir) == nil {
			return filepath.Clean(dir), nil
		}
	}
	dir := filepath.Join(tmp, fmt.Sprintf("tbx-runtime-%d", uid))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("runtime directory %s: %w", dir, err)
	}
	// Everybody may write to /tmp: trust the directory only if it is closed to others.
	if err := checkDir(dir, uid, 0o077); err != nil {
		return "", fmt.Errorf("runtime directory %s: %w", dir, err)
	}
	return dir, nil
}

// RuntimeProblem returns why dir, from XDG_RUNTIME_DIR, cannot be the user's runtime
// directory, or nil.
func RuntimeProblem(uid int, dir string) error {
	switch {
	case !filepath.IsAbs(dir):
		return errors.New("it is not an absolute path")
	case strings.ContainsFunc(dir, unicode.IsControl):
		return errors.New("it has a control character")
	}
	return checkDir(filepath.Clean(dir), uid, 0o022)
}

// OwnRuntime reports whether dir, from RuntimeBase, is the fallback: tbx's own directory,
// in which no session has sockets.
func OwnRuntime(dir string) bool { return strings.HasPrefix(dir, "/tmp/tbx-runtime-") }

// checkDir returns an error unless dir is a directory of the user, not a link, and closed
// to others.
func checkDir(dir string, uid int, rights uint32) error {
	fd, err := eintr.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return errors.New("it is a file or a link, not a directory")
	case errors.Is(err, unix.ENOENT):
		return errors.New("there is no such directory")
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return err
	case int(st.Uid) != uid:
		return fmt.Errorf("it belongs to user %d", st.Uid)
	case st.Mode&rights != 0:
		return fmt.Errorf("it is open to others (mode %04o)", st.Mode&0o7777)
	}
	return nil
}
