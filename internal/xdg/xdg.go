// Package xdg answers where tbx keeps its files, after the XDG Base Directory
// Specification 0.8. It reads the environment through a function, so that a
// caller decides whose environment it is; it creates nothing but Runtime's
// fallback directory.
package xdg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
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

// RuntimeBase returns the user's runtime directory: $XDG_RUNTIME_DIR, else
// /run/user/UID, else a directory in /tmp that is ours alone, which it makes.
// It never returns a relative path, and never a directory of somebody else.
func RuntimeBase(uid int, getenv func(string) string) (string, error) {
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && ownedBy(dir, uid) {
		return dir, nil
	}
	if dir := "/run/user/" + strconv.Itoa(uid); ownedBy(dir, uid) {
		return dir, nil
	}
	dir := fmt.Sprintf("/tmp/tbx-runtime-%d", uid)
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("runtime directory %s: %w", dir, err)
	}
	// /tmp is everybody's: believe the directory only if it is a real one,
	// ours, and closed to others.
	fi, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("runtime directory %s: %w", dir, err)
	}
	if !fi.IsDir() || fi.Mode().Perm()&0o077 != 0 || !ownedBy(dir, uid) {
		return "", fmt.Errorf("runtime directory %s: it exists and is not a private directory of user %d", dir, uid)
	}
	return dir, nil
}

func ownedBy(dir string, uid int) bool {
	fi, err := os.Stat(dir)
	if err != nil || !fi.IsDir() {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
