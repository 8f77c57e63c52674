package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Obstacle is an obstacle in a directory on the way to a path below it.
type Obstacle struct {
	Path string `json:"path"` // the requested path, relative to the directory
	At   string `json:"at"`   // the way up to the obstacle, with its name
	Is   string `json:"is"`   // its kind: "a link", "no directory", "unreadable"
}

// Way checks, in a directory, the way to each path, and writes the obstacles as lines of
// JSON. It runs on the host as the root of podman's user namespace, who alone may look
// into a home that podman keeps; args are the directory and the paths.
func Way(args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("way: it needs a directory and paths")
	}
	lines := json.NewEncoder(out)
	for _, path := range args[1:] {
		at, is, err := firstObstacle(args[0], path)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if is == "" {
			continue
		}
		if err := lines.Encode(Obstacle{path, at, is}); err != nil {
			return err
		}
	}
	return nil
}

// firstObstacle goes from dir to path, and returns the first name on the way that is not
// a directory. A missing one is no obstacle.
func firstObstacle(dir, path string) (at, is string, err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err != nil {
		return "", "", err
	}
	defer func() { unix.Close(fd) }()
	for _, name := range strings.Split(path, "/") {
		at = filepath.Join(at, name)
		next, err := unix.Openat(fd, name, flags, 0)
		switch {
		case err == nil:
			unix.Close(fd)
			fd = next
		case errors.Is(err, unix.ENOENT):
			return "", "", nil
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
			var st unix.Stat_t
			if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
				return at, "a link", nil
			}
			return at, "no directory", nil
		default:
			return at, "unreadable", nil
		}
	}
	return "", "", nil
}

// Strays removes from dir the empty directories of others than the user, which a runtime
// made there. It runs on the host as the root of podman's user namespace, who is the user
// on the host.
func Strays(args []string) error {
	if len(args) != 1 {
		return errors.New("strays: it needs a directory")
	}
	root, err := os.OpenRoot(args[0]) // a toolbox's root may put links into its directories
	if err != nil {
		return err
	}
	defer root.Close()
	var found []string
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // what cannot be read is not ours to tidy up
		}
		if fi, err := d.Info(); err == nil {
			if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() {
				found = append(found, path)
			}
		}
		return nil
	})
	for _, path := range slices.Backward(found) { // those below come first
		_ = root.Remove(path) // one that is not empty stays
	}
	return err
}
