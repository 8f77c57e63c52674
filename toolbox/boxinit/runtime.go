package boxinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keptInRun are names in /run that tbx or podman made for this start.
var keptInRun = []string{filepath.Base(HostView), "tbx", ".containerenv", filepath.Base(Marker), filepath.Base(MarkerToo)}

// emptyRun removes everything from /run that is older than this start of the toolbox. On
// a machine that directory is new at each boot: its files tell which processes run and
// which sockets have a listener. Mounts below it stay, and so do files that programs made
// since the start, if tbx did not start the toolbox. It is done once in each start.
func (b *box) emptyRun() error {
	if b.cfg.Started == 0 {
		return nil
	}
	const stamp = "/run/tbx/started"
	this := fmt.Sprintln(b.cfg.Started)
	if done, err := b.read(stamp); err == nil && string(done) == this {
		return nil
	}
	var mounts []MountLine
	if b.root == "" {
		var err error
		if mounts, err = ReadMounts(ownMounts); err != nil {
			return err
		}
	}
	s := sweep{box: b, before: time.Unix(0, b.cfg.Started), mounts: mounts}
	for _, name := range names(b.root + "/run") {
		if !slices.Contains(keptInRun, name) {
			s.remove("/run/" + name)
		}
	}
	return errors.Join(append(s.failed, b.create(stamp, []byte(this), 0o644))...)
}

func names(dir string) []string {
	entries, _ := os.ReadDir(dir) // one that cannot be read has nothing for us
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// sweep removes what is older than a moment, except mounts.
type sweep struct {
	box    *box
	before time.Time
	mounts []MountLine
	failed []error
}

// remove removes p and reports whether it is gone.
func (s *sweep) remove(p string) bool {
	full := s.box.root + p
	fi, err := os.Lstat(full)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if slices.ContainsFunc(s.mounts, func(m MountLine) bool { return m.Point == p }) {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	old := ok && time.Unix(st.Ctim.Unix()).Before(s.before)
	if fi.IsDir() {
		for _, name := range names(full) {
			old = s.remove(p+"/"+name) && old
		}
		// The directory of locks in every distribution.
		old = old && p != "/run/lock" && !slices.ContainsFunc(s.mounts, func(m MountLine) bool { return below(m.Point, p) })
	}
	if !old {
		return false
	}
	if err := os.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.failed = append(s.failed, fmt.Errorf("%s is from an earlier start and stays: %w", p, errors.Unwrap(err)))
		return false
	}
	return true
}

// makeRunDirectories makes in /run what a boot would make: /run/lock, and the directories
// of the packages' rules (tmpfiles.d(5)), so that a daemon finds its directory. Existing
// ones stay as they are.
func (b *box) makeRunDirectories() error {
	if b.cfg.Started == 0 {
		return nil
	}
	var failed []error
	if !b.exists("/run/lock") {
		mode := fs.FileMode(0o755)
		if b.exists("/usr/bin/dpkg") { // everybody may lock there, by Debian's own rule
			mode = 0o777 | fs.ModeSticky
		}
		failed = append(failed, b.mkdir("/run/lock"), os.Chmod(b.root+"/run/lock", mode))
	}
	for _, rule := range b.runRules() {
		if err := b.apply(rule); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", rule.path, err))
		}
	}
	return errors.Join(failed...)
}

// listening reports whether somebody answers at a socket.
func listening(path string) bool {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return true
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		unix.Close(fd)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			return false
		case !errors.Is(err, unix.EPROTOTYPE):
			return true
		}
	}
	return true
}

// inTheWay reports whether something at p prevents a link of tbx: the image, a package or
// a daemon inside has its own. A socket without a listener and an empty directory do not
// count.
func (b *box) inTheWay(p string) bool {
	full := b.root + p
	fi, err := os.Lstat(full)
	switch {
	case err != nil, fi.Mode()&fs.ModeSymlink != 0:
		return false
	case fi.Mode()&fs.ModeSocket != 0:
		if listening(full) {
			return true
		}
		return os.Remove(full) != nil
	case fi.IsDir():
		return os.Remove(full) != nil // a mount is busy, another not empty
	}
	return true
}

// cutRun returns the path in /run of an old or a new name.
func cutRun(p string) (string, bool) {
	p = filepath.Clean(p)
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		p = "/run/" + rest
	}
	return p, strings.HasPrefix(p, "/run/")
}
