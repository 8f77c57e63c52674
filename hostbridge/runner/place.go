package runner

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
)

// open opens a path of the host. An exact one was looked up before, and has no links in
// its name: a later link is not followed.
func open(path string, flags int, exact bool) (int, error) {
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC)}
	if exact {
		how.Resolve = unix.RESOLVE_NO_SYMLINKS
	}
	return eintr.Get(func() (int, error) { return unix.Openat2(unix.AT_FDCWD, path, how) })
}

// enterDirectory makes the job's directory this process's, and so the
// command's. The passed descriptor is only compared with, never entered: it
// may lie in a file system that exists in the toolbox alone (CVE-2024-21626).
func enterDirectory(job *wire.Job, passed int) *wire.Failure {
	fd, err := open(job.Cwd, unix.O_PATH|unix.O_DIRECTORY, job.Exact)
	if err == nil {
		defer unix.Close(fd)
		if job.AnyCwd || same(fd, passed) {
			if err = unix.Fchdir(fd); err == nil {
				return nil
			}
		}
	}
	if job.Fallback != "" {
		if err := unix.Chdir(job.Fallback); err == nil {
			return nil
		}
	}
	if job.AnyCwd && err != nil {
		return &wire.Failure{Code: 125, Text: job.Cwd + ": " + err.Error(), Hint: "name a directory of the host with --cwd"}
	}
	return &wire.Failure{
		Code: 125,
		Text: job.Cwd + ": this directory is not shared with the host",
		Hint: "change to a shared directory, or name one of the host with --cwd",
	}
}

// sameFile returns a failure unless the path of the host, which has no links in it, is
// both the file or directory that the toolbox has opened and the one that was decided
// about, and opening it runs nothing.
func sameFile(path string, passed, decided int) *wire.Failure {
	fd, err := open(path, unix.O_PATH, true)
	if err == nil {
		defer unix.Close(fd)
	}
	switch {
	case err != nil || !same(fd, decided):
		return &wire.Failure{Code: 125, Text: path + ": this file was put in the place of another meanwhile"}
	case !same(fd, passed):
		return &wire.Failure{Code: 125, Text: path + ": this file is not shared with the host", Hint: "copy it to a directory that is shared"}
	case isProgram(fd):
		return &wire.Failure{Code: 126, Text: path + ": its content is a program or starts one",
			Hint: "open it on the host, if you know what it does"}
	}
	return nil
}

// isProgram looks at the beginning of a file. A program that opens it may choose by that,
// if the name tells nothing (Shared MIME-info Specification, "magic").
func isProgram(fd int) bool {
	f, err := eintr.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false // then whoever opens it cannot read it either
	}
	defer unix.Close(f)
	var st unix.Stat_t
	if unix.Fstat(f, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	buf := make([]byte, 4096)
	n, err := eintr.Get(func() (int, error) { return unix.Pread(f, buf, 0) })
	if err != nil {
		return false
	}
	buf = buf[:n]
	for _, begin := range []string{"\x7fELF", "MZ", "#!", "# KDE Config File", "# Config File"} {
		if bytes.HasPrefix(buf, []byte(begin)) {
			return true
		}
	}
	for _, group := range []string{"[Desktop Entry]", "[KDE Desktop Entry]", "[Flatpak Ref]"} {
		if bytes.Contains(buf, []byte(group)) {
			return true
		}
	}
	return false
}

// same reports whether two descriptors are one regular file or one directory.
// It asks for what the kernel knows already, so that no FUSE server can hold
// it up.
func same(a, b int) bool {
	var x, y unix.Statx_t
	const flags, mask = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE | unix.STATX_INO
	if unix.Statx(a, "", flags, mask, &x) != nil || unix.Statx(b, "", flags, mask, &y) != nil {
		return false
	}
	kind := x.Mode & unix.S_IFMT
	return x.Ino == y.Ino && x.Dev_major == y.Dev_major && x.Dev_minor == y.Dev_minor &&
		kind == y.Mode&unix.S_IFMT && (kind == unix.S_IFREG || kind == unix.S_IFDIR)
}
