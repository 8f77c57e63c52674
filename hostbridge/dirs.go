package hostbridge

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

const tokenSize = 32 // bytes

// Files below the bridge's directory, $XDG_RUNTIME_DIR/tbx/bridge-KEY:
//
//	agent/lock, agent/start  flock files: one agent, one at a time starts it
//	agent/ctl                its control socket, for tbx on the host
//	agent/sessions/          see package session
//	box/ID/sock, box/ID/token  what a toolbox sees, at /run/tbx/host
func controlSocket(dir string) string { return filepath.Join(dir, "agent", "ctl") }

// BoxDir is the directory that a toolbox gets at /run/tbx/host. The directory
// is mounted, not the socket: a mounted socket would stay the old one after the
// agent has started anew.
func BoxDir(dir, id string) string { return filepath.Join(dir, "box", id) }

var boxID = pattern.Lazy(`^[a-z0-9]{8,64}$`)

// prepare makes the directory of a toolbox with a new token.
func prepare(dir, id string) error {
	box := BoxDir(dir, id)
	if err := privateDir(box); err != nil {
		return err
	}
	if len(filepath.Join(box, "sock")) > 107 { // sun_path
		return fail.New(fail.Unable, "%s: the path is too long for a socket", box).Hint("set XDG_RUNTIME_DIR to a shorter path")
	}
	token := make([]byte, tokenSize)
	rand.Read(token) // never fails
	if err := atomicfile.WriteVolatile(filepath.Join(box, "token"), token, 0o400); err != nil {
		return fail.Wrap(nil, err, "bridge directory %s", box)
	}
	return nil
}

// privateDir makes a directory, or checks that it is a real one, ours, and
// closed to others, apart from searching.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail.Wrap(fail.Unable, err, "bridge directory %s", dir)
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return fail.Wrap(fail.Unable, err, "bridge directory %s", dir)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !fi.IsDir() || !ok || int(st.Uid) != os.Getuid() || fi.Mode().Perm()&0o066 != 0 {
		return fail.New(fail.Unable, "bridge directory %s: it is not a private directory of this user", dir).
			Hint("remove it; tbx makes it again")
	}
	return nil
}

// readToken reads a toolbox's token, which may be new since the last time.
func readToken(box string) ([]byte, error) {
	fd, err := eintr.Open(filepath.Join(box, "token"), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, tokenSize+1)
	n, err := eintr.Get(func() (int, error) { return unix.Read(fd, b) })
	if err == nil && n != tokenSize {
		err = errors.New("token of a wrong length")
	}
	return b[:max(n, 0)], err
}
