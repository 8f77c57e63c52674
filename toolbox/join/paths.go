package join

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HostView is where the host's root is inside.
const HostView = "/run/host"

// WorkDir says where a session begins that was called in the host's directory
// cwd: in the same directory where it is shared, else in the toolbox's directory
// of that path, else in the host view, else at home, and then ok is false.
func (t *Target) WorkDir(cwd string) (dir string, ok bool) {
	if dir, ok := t.Record.shared(cwd); ok && t.isDir(dir) {
		return dir, true
	}
	if t.isDir(cwd) {
		return cwd, true
	}
	if dir := HostView + cwd; t.Record.HostFiles && t.isDir(dir) {
		return dir, true
	}
	if t.isDir(t.Record.Home) {
		return t.Record.Home, false
	}
	return "/", false
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

// BoxPath returns where a path of the host is inside: where it is shared, else
// in the host view. It does not look whether anything is there.
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

// CheckDir says why path is no directory inside in which a session can begin.
// nsenter(1) opens it, as the user, before it joins; podman exec goes there when it
// has become who the session is of.
func (t *Target) CheckDir(path string) error {
	flags := unix.O_DIRECTORY | unix.O_CLOEXEC
	if t.Record.Isolated {
		flags |= unix.O_PATH
	}
	fd, err := t.open(path, flags)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func (t *Target) isDir(path string) bool { return t.CheckDir(path) == nil }

// Readable says whether path is a regular file inside, or not there: what is
// neither may never come to an end when it is read.
func (t *Target) Readable(path string) bool {
	_, mode, err := t.stat(path)
	return err != nil || mode&unix.S_IFMT == unix.S_IFREG
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

// LookPath looks inside for a command by the PATH in env, from the directory
// dir, as execvp(3) does. What is found and is no file that anybody may execute
// is fs.ErrPermission; whether the user may, the kernel will say.
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
	_, mode, err := t.stat(path)
	if err == nil && (mode&unix.S_IFMT != unix.S_IFREG || mode&0o111 == 0) {
		return fs.ErrPermission
	}
	return err
}

// Getenv returns the value of the last name=value in env.
func Getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}
