//go:build remote

package podman

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/internal/userns"
	"github.com/tbx-project/tbx/toolbox/join"
)

// pauseFileOf returns the file with the number of podman's pause process, which keeps the
// user namespace that every podman of the user joins.
func pauseFileOf(runtime string) string { return filepath.Join(runtime, "libpod/tmp/pause.pid") }

// checkPause makes sure that podman has a pause process, and the right one.
func checkPause(ctx context.Context, runtime string, warn func(text, hint string)) {
	endAstray(runtime, warn)
	data, _ := os.ReadFile(pauseFileOf(runtime)) // not there: podman has none
	if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && !gone(pid) {
		return
	}
	// A service that must find its namespace through a running container's monitor loses
	// its socket on the way. A command does not, and leaves a pause process.
	if running, _ := join.Containers(runtime); len(running) > 0 {
		hostprog.Podman(ctx, "ps", "--quiet").Run() // what it has to say, the service says too
	}
}

// endAstray ends a wrong pause process: one that a podman in a container left, when home
// and runtime directory were the host's (podman on the host would then run in that
// container's namespaces), and one with a single id although the user has more, which a
// podman called with another USER leaves. Nothing else runs in such a process, and podman
// makes another.
func endAstray(runtime string, warn func(text, hint string)) {
	file := pauseFileOf(runtime)
	data, err := os.ReadFile(file)
	pid, perr := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || perr != nil || pid <= 1 {
		return
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended, and podman finds that out
	}
	defer unix.Close(pidfd)
	why := astray(runtime, pid)
	if why == "" {
		return
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		warn(fmt.Sprintf("podman's pause process %d %s, and cannot be ended: %v", pid, why, err), "")
		return
	}
	if now, err := os.ReadFile(file); err == nil && string(now) == string(data) {
		os.Remove(file) // best effort: the number in it is nobody's now
	}
	warn(fmt.Sprintf("podman's pause process %d %s; it is ended, and podman makes another one", pid, why), "")
}

// astray returns the fault of podman's pause process, or "" if there is none, or none can
// be proven. The process was opened before.
func astray(runtime string, pid int) string {
	if !isPause(pid) {
		return ""
	}
	spaces := join.UserNamespaces(pid) // its own, ..., this process's
	running, _ := join.Containers(runtime)
	switch {
	case len(spaces) > 2:
		return "was started by a podman in " + containerOf(running, spaces[1]) + ", and podman here would have run in there"
	case len(spaces) == 2 && singleID(pid) && hasSubIDs() && !inUse(running, spaces[0]):
		return "has one id only, though you have more by /etc/subuid (podman was called with another USER)"
	}
	return ""
}

// isPause reports whether a process is podman's pause process: podman itself under
// another name, or catatonit.
func isPause(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && slices.Contains([]string{"podman pause", "catatonit"}, strings.TrimSpace(string(comm)))
}

// containerOf returns the name of the running container with this user namespace.
func containerOf(running map[string]int, ns uint64) string {
	for id, pid := range running {
		if spaces := join.UserNamespaces(pid); len(spaces) == 0 || spaces[0] != ns {
			continue
		}
		if name := containerName(pid); name != "" {
			return "container " + name
		}
		return "container " + id[:min(len(id), 12)]
	}
	return "a container"
}

var containerNameLine = regexp.MustCompile(`(?m)^name="([A-Za-z0-9][A-Za-z0-9_.-]*)"$`)

// containerName reads what podman tells a container of its name.
func containerName(pid int) string {
	fd, err := eintr.Open(fmt.Sprintf("/proc/%d/root/run/.containerenv", pid), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return ""
	}
	if m := containerNameLine.FindSubmatch(buf[:n]); m != nil {
		return string(m[1])
	}
	return ""
}

// singleID reports whether the user namespace of a process has only one id.
func singleID(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	f := strings.Fields(string(data))
	return err == nil && len(f) == 3 && f[2] == "1"
}

func inUse(running map[string]int, ns uint64) bool {
	for _, pid := range running {
		if slices.Contains(join.UserNamespaces(pid), ns) {
			return true
		}
	}
	return false
}

// hasSubIDs reports whether the user has subordinate ids of both kinds.
func hasSubIDs() bool { return missingSubIDs() == "" }

// missingSubIDs returns the file without ids for the user, or "".
func missingSubIDs() string {
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrPermission) || subIDsElsewhere() {
			continue // not to be looked at
		}
		if err != nil || !userns.HasRange(string(data), hostprog.Account(), os.Getuid()) {
			return file
		}
	}
	return ""
}

var subidLine = regexp.MustCompile(`(?m)^\s*subid:`)

// subIDsElsewhere reports whether the ids come from a directory such as LDAP,
// nsswitch.conf(5).
func subIDsElsewhere() bool {
	data, err := os.ReadFile("/etc/nsswitch.conf")
	return err == nil && subidLine.Match(data)
}
