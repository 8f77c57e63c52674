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

// place is a file or directory as mountinfo identifies it, the same in every mount
// namespace: a file system, its mounted part, and the path below.
type place struct{ device, root, rel string }

// path returns the place's path in its file system.
func (p place) path() string { return filepath.Join(p.root, p.rel) }

// placeOf returns the place that a path of the host leads to. A link in the path is an
// error, so nobody can redirect it between the check and the result.
func placeOf(path string) (place, error) {
	direct := func(flags uint64) (int, error) {
		return unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	}
	fd, err := direct(unix.O_DIRECTORY) // this also mounts a file system that is mounted on demand
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
	return place{}, fmt.Errorf("%s is in no visible file system", path)
}

// mountID returns the id of the mount that an open file is in, proc_pid_fdinfo(5).
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

// named returns the user's shared directories in p, for the first process, which checks
// that it has them, because others can start a toolbox too. A directory that cannot be
// checked now is left to tbx, which checks at every start.
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
