package toolbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

const cgroupRoot = "/sys/fs/cgroup"

// pauseMemory is more than what the first process of a toolbox takes, in bytes.
const pauseMemory = 8 << 20

// yieldMemory makes this process, and all that it starts, be ended before the
// first process of the toolbox when the toolbox's memory is used up. The kernel
// ends who has most; while that one is ending, it may need another, and the first
// process is larger than a shell. With it everything would end.
//
// It is raised by what the first process has, as a part of the limit, and so does
// not make a difference on the host: proc_pid_oom_score_adj(5). A command of podman
// exec inherits it by podman and its monitor; runtimes set it for no exec.
func yieldMemory(pid int) {
	limit := memoryLimit(cgroupRoot, pid)
	if limit <= 0 {
		return
	}
	const file = "/proc/self/oom_score_adj"
	now, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(now)), 10, 64); err == nil {
		os.WriteFile(file, strconv.AppendInt(nil, min(n+yieldBy(limit), 1000), 10), 0) // anybody may raise his own
	}
}

// yieldBy is pauseMemory in thousandths of the limit, rounded up.
func yieldBy(limit int64) int64 {
	return min((pauseMemory*1000+limit-1)/limit, 500)
}

// memoryLimit is the least limit of memory in bytes over the cgroup of a process, up
// to the unit that holds it, or 0. root is where cgroup2 is mounted.
func memoryLimit(root string, pid int) int64 {
	least := int64(0)
	for _, dir := range cgroupsOf(root, pid) {
		if n, ok := readNumber(filepath.Join(dir, "memory.max")); ok && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// startable is less than what podman exec needs of processes and threads in a toolbox.
const startable = 3

// checkProcesses refuses a session that podman could not start, since the toolbox
// has as many processes and threads as it may have: the runtime would only say that
// a resource is unavailable.
func checkProcesses(root string, r *join.Record) error {
	for _, dir := range cgroupsOf(root, r.PID) {
		limit, limited := readNumber(filepath.Join(dir, "pids.max"))
		now, known := readNumber(filepath.Join(dir, "pids.current"))
		if limited && known && limit-now < startable {
			return fail.New(nil, "toolbox %s has as many processes as it may have: %d of %d", r.Name, now, limit).
				Hint("end what runs in it with: tbx stop %s", r.Name)
		}
	}
	return nil
}

// cgroupsOf are the directories of a process's cgroup and of those above it, up to
// the unit that holds it. There are none with version 1, where podman limits
// nothing for a user.
func cgroupsOf(root string, pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "0::")
	if err != nil || !ok {
		return nil
	}
	var out []string
	for dir := filepath.Clean(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		out = append(out, filepath.Join(root, dir))
		if strings.HasSuffix(dir, ".scope") {
			break
		}
	}
	return out
}

// readNumber reads a file with one number; "max" is none.
func readNumber(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	n, bad := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && bad == nil
}
