package join

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// ErrPaused means that podman pause has frozen the toolbox.
var ErrPaused = errors.New("paused")

// Target is a toolbox whose first process is alive and is the initialised one.
type Target struct {
	Record *Record
	pidfd  int
	root   int    // O_PATH descriptor of the root inside
	cgroup string // path in the cgroup2 hierarchy; empty: it has none of its own
	blind  bool   // nothing below the root can be seen from here
}

// Open checks that r holds, or returns an error that wraps ErrStale, or ErrPaused. dir is
// where r was loaded from; if the table of names changed without affecting r, the new
// state is written back there.
func (r *Record) Open(dir string) (*Target, error) {
	if boot, err := bootID(); err != nil || boot != r.BootID {
		return nil, fmt.Errorf("%w: recorded in another boot", ErrStale)
	}
	held, changed := r.Names.hold(r.ID, r.Name)
	if !held {
		return nil, fmt.Errorf("%w: the name %s is another container's, or nobody's", ErrStale, r.Name)
	}
	if changed {
		r.Save(dir) // best effort: the next call reads the table again
	}
	status, err := r.State.read()
	if err != nil {
		return nil, err
	}
	if status.pid != r.PID || status.startTime != r.StartTime {
		return nil, fmt.Errorf("%w: it was started again", ErrStale)
	}
	t, err := r.OpenUnrecorded()
	if err != nil {
		return nil, err
	}
	if status.hasCgroup {
		if t.cgroup, err = cgroupOf(r.PID); err == nil && frozen("/sys/fs/cgroup", t.cgroup) {
			err = ErrPaused
		}
	}
	if err == nil && !t.Alive() {
		err = fmt.Errorf("%w: its first process is gone", ErrStale)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// OpenUnrecorded opens the toolbox of a new record, made from podman's data and not saved
// yet, so that the initialiser can run.
func (r *Record) OpenUnrecorded() (*Target, error) {
	t := &Target{Record: r}
	var err error
	if t.pidfd, err = unix.PidfdOpen(r.PID, 0); err != nil {
		return nil, fmt.Errorf("%w: its first process is gone", ErrStale)
	}
	// The pidfd is held before the start time is read: from here on the number
	// cannot be another process's without our noticing.
	if start, err := StartTime(r.PID); err != nil || start != r.StartTime {
		t.Close()
		return nil, fmt.Errorf("%w: its first process is gone", ErrStale)
	}
	if t.root, err = eintr.Open(fmt.Sprintf("/proc/%d/root", r.PID), unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		t.Close()
		return nil, fmt.Errorf("%w: its root cannot be opened: %w", ErrStale, err)
	}
	var st unix.Stat_t
	t.blind = errors.Is(unix.Fstatat(t.root, "", &st, unix.AT_EMPTY_PATH), unix.EACCES)
	return t, nil
}

// Alive reports whether the first process still runs. In a toolbox that ends, files are
// missing: its mounts go before the process does.
func (t *Target) Alive() bool {
	if _, err := NamespaceID(strconv.Itoa(t.Record.PID), "mnt"); err != nil {
		return false
	}
	ended, err := eintr.Ended(t.pidfd)
	return err == nil && !ended
}

// Close releases the descriptors of t.
func (t *Target) Close() {
	for _, fd := range []int{t.pidfd, t.root} {
		if fd > 0 {
			unix.Close(fd)
		}
	}
}

// Blind reports whether tbx cannot look into the toolbox: its root is a FUSE file system,
// as with podman's mount_program, which only processes of podman's user namespace may
// read. Processes inside can, but no directory and no command can be found before.
func (t *Target) Blind() bool { return t.blind }

// HasCgroup reports whether the toolbox has a cgroup of its own. Without one (no systemd
// user session) podman can neither pause it nor stop its processes.
func (t *Target) HasCgroup() bool { return t.cgroup != "" }

// StartTime returns field 22 of /proc/PID/stat, see proc_pid_stat(5). A zombie
// counts as gone.
func StartTime(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name in field 2 may hold spaces and parentheses: count from its end.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, unix.ESRCH
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// cgroupOf returns the path of the process in the cgroup2 hierarchy.
func cgroupOf(pid int) (string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrStale, err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: no cgroup2 path", ErrStale)
}

// frozen reports whether a cgroup below root is frozen, or being frozen. "frozen" in its
// cgroup.events waits for the last process to stand still, and one that waits for a dead
// disk never does, while a process that joins the cgroup stands still at once and for
// good (kernel, admin-guide/cgroup-v2.rst).
func frozen(root, cgroup string) bool {
	if data, err := os.ReadFile(filepath.Join(root, cgroup, "cgroup.events")); err == nil && strings.Contains(string(data), "frozen 1") {
		return true
	}
	for ; cgroup != "/" && cgroup != "."; cgroup = filepath.Dir(cgroup) { // the root has no such file
		if data, err := os.ReadFile(filepath.Join(root, cgroup, "cgroup.freeze")); err == nil && strings.HasPrefix(string(data), "1") {
			return true
		}
	}
	return false
}

// NamespaceID returns the inode of a namespace of a process, such as "mnt".
func NamespaceID(pid, kind string) (uint64, error) {
	link, err := os.Readlink("/proc/" + pid + "/ns/" + kind)
	if err != nil {
		return 0, err
	}
	_, num, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
	return strconv.ParseUint(num, 10, 64)
}
