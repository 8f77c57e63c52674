package join

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/envset"
)

// HostView is where the host's root is inside.
const HostView = "/run/host"

// Where tells how a session's directory relates to the caller's.
type Where int

// The caller's own directory is inside; or the toolbox has its own directory of that
// path; or there is none.
const (
	Nowhere Where = iota
	TheSame
	OfThePath
)

// WorkDir returns where a session begins that was called in the host's directory cwd,
// which the caller reached by the name way: in the same directory if it is shared, else
// in the toolbox's directory of the path cwd, else in the host view. here is the stat(2)
// of the caller's directory. A path that is shared but leads to another directory inside,
// because the host's mount is missing there or the toolbox has its own directory over it,
// does not count as the caller's; nor does a toolbox directory where the host has a link
// that the caller used.
func (t *Target) WorkDir(way, cwd string, here *unix.Stat_t) (dir string, where Where) {
	own := false
	for _, path := range []string{way, cwd} {
		inside, shared := t.Record.shared(path)
		if !shared {
			inside = path
		}
		switch t.compare(inside, here) {
		case TheSame:
			return inside, TheSame
		case OfThePath:
			own = !shared && path == cwd
		}
	}
	switch {
	case own:
		return cwd, OfThePath
	case t.Record.HostFiles && t.compare(HostView+cwd, here) == TheSame:
		return HostView + cwd, TheSame
	}
	return "", Nowhere
}

// compare compares the directory dir inside with the one of here; a nil here matches any.
func (t *Target) compare(dir string, here *unix.Stat_t) Where {
	fd, err := t.open(dir, t.dirFlags())
	if err != nil {
		return Nowhere
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if here == nil {
		return TheSame
	}
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != here.Ino {
		return OfThePath
	}
	var fs unix.Statfs_t
	if st.Dev == here.Dev || unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC { // as a volume with the option O
		return TheSame
	}
	return OfThePath
}

// shared returns where a path of the host is inside, if a mount shows it there.
func (r *Record) shared(path string) (string, bool) {
	best := -1
	for i, m := range r.Mounts {
		if Below(path, m.Host) && (best < 0 || len(m.Host) > len(r.Mounts[best].Host)) {
			best = i
		}
	}
	if best < 0 {
		return "", false
	}
	return filepath.Join(r.Mounts[best].Box, strings.TrimPrefix(path, r.Mounts[best].Host)), true
}

// SamePath reports whether a path of the host is shared at that same path inside.
func (r *Record) SamePath(path string) bool {
	inside, ok := r.shared(filepath.Clean(path))
	return ok && inside == path
}

// BoxPath returns the place inside of a path of the host: in a shared directory, else in
// the host view. It does not check that anything is there.
func (r *Record) BoxPath(path string) string {
	if inside, ok := r.shared(filepath.Clean(path)); ok {
		return inside
	}
	if r.HostFiles {
		return HostView + path
	}
	return path
}

// Below says whether path is dir or lies in it. Both are absolute and clean.
func Below(path, dir string) bool {
	return dir == "/" || path == dir || strings.HasPrefix(path, dir+"/")
}

// CheckDir returns why no session can begin in path inside, or nil. nsenter(1) opens it,
// as the user, before it joins; podman exec changes to it after it has become the
// session's user.
func (t *Target) CheckDir(path string) error {
	fd, err := t.open(path, t.dirFlags())
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func (t *Target) dirFlags() int {
	if t.Record.Isolated {
		return unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_PATH
	}
	return unix.O_DIRECTORY | unix.O_CLOEXEC
}

// Readable reports whether path inside is a regular file of at most so many bytes, or
// missing: reading anything else may never end.
func (t *Target) Readable(path string, most int64) bool {
	fd, err := t.open(path, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return err != nil || st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size <= most
}

// PasswdShell returns the login shell of a user inside, from passwd(5), or "".
func (t *Target) PasswdShell(user string) string {
	const file, most = "/etc/passwd", 1 << 20
	if _, mode, err := t.stat(file); err != nil || mode&unix.S_IFMT != unix.S_IFREG {
		return ""
	}
	fd, err := t.open(file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), file)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, user+":"); ok {
			if fields := strings.Split(rest, ":"); len(fields) == 6 {
				return fields[5]
			}
		}
	}
	return ""
}

// open opens path inside the toolbox, with its root as the root of every link
// (openat2(2), RESOLVE_IN_ROOT).
func (t *Target) open(path string, flags int) (fd int, err error) {
	for err = unix.EAGAIN; err == unix.EAGAIN || err == unix.EINTR; { // a link with .. while something is renamed anywhere, openat2(2)
		fd, err = unix.Openat2(t.root, path, &unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	}
	return fd, err
}

// stat resolves path inside the toolbox and returns where it leads.
func (t *Target) stat(path string) (real string, mode uint32, err error) {
	fd, err := t.open(path, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", 0, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf)
	if err != nil {
		return "", 0, err
	}
	return string(buf[:n]), st.Mode, nil
}

// mode returns the stat of a path, without its target.
func (t *Target) mode(path string) (uint32, error) {
	fd, err := t.open(path, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Mode, err
}

// LookPath looks inside for a command by the PATH in env, from the directory dir, as
// execvp(3) does. A result that nobody may execute is fs.ErrPermission; whether the user
// may, the kernel decides.
func (t *Target) LookPath(command string, env []string, dir string) error {
	if strings.ContainsRune(command, '/') {
		if !filepath.IsAbs(command) {
			command = filepath.Join(dir, command)
		}
		return t.executable(command)
	}
	found := fs.ErrNotExist
	for _, d := range filepath.SplitList(Getenv(env, "PATH")) {
		if d == "" {
			d = "."
		}
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		switch err := t.executable(filepath.Join(d, command)); {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrPermission):
			found = err
		}
	}
	return found
}

func (t *Target) executable(path string) error {
	mode, err := t.mode(path)
	if err == nil && (mode&unix.S_IFMT != unix.S_IFREG || mode&0o111 == 0) {
		return fs.ErrPermission
	}
	return err
}

// Getenv returns the value of the last name=value in env.
func Getenv(env []string, name string) string { return envset.Get(env, name) }
