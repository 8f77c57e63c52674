package toolbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// place is a file or directory as mountinfo names it, which is the same in every
// mount namespace: a file system, what of it is mounted there, and what is below.
type place struct{ device, root, rel string }

// path is where the place is in its file system.
func (p place) path() string { return filepath.Join(p.root, p.rel) }

// placeOf says what a path of the host leads to. A link in it is an error, so that
// it is the very path; nobody can put one there between the look and the answer.
func placeOf(path string) (place, error) {
	direct := func(flags uint64) (int, error) {
		return unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	}
	fd, err := direct(unix.O_DIRECTORY) // which has a file system mounted that is mounted on demand
	if errors.Is(err, unix.ENOTDIR) {
		fd, err = direct(0)
	}
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	id, err := mountID(fd)
	if err != nil {
		return place{}, err
	}
	mounts, err := boxinit.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		return place{}, err
	}
	for _, m := range mounts {
		if m.ID == id && join.Below(path, m.Point) {
			return place{m.Device, m.Root, strings.TrimPrefix(strings.TrimPrefix(path, m.Point), "/")}, nil
		}
	}
	return place{}, fmt.Errorf("%s is in no file system that can be seen from here", path)
}

// mountID is the number of the mount that an open file is in, proc_pid_fdinfo(5).
func mountID(fd int) (int, error) {
	data, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if v, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.Atoi(strings.TrimSpace(v))
		}
	}
	return 0, errors.New("the kernel does not say in which mount a file is")
}

// named are the directories of p that a user shares, for the first process, which
// looks whether it has them: podman starts a toolbox for others too. What cannot be
// looked at now is left to tbx, which looks at every start.
func (p *Plan) named(s *Spec) []boxinit.Named {
	shared := s.sharedSources()
	var out []boxinit.Named
	for _, mt := range p.Mounts {
		for _, dir := range shared {
			if mt.Type != "bind" || mt.Source != dir {
				continue
			}
			if at, err := placeOf(dir); err == nil {
				out = append(out, boxinit.Named{Target: mt.Target, Root: at.root, Rel: at.rel})
			}
			break
		}
	}
	return out
}
