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

// pauseMemory is more than the memory of a toolbox's first process, in bytes.
const pauseMemory = 8 << 20

// yieldMemory makes the kernel kill this process and its children before the toolbox's
// first process when the toolbox's memory is used up. The kernel kills the largest; while
// that ends, it may kill another, and the first process is larger than a shell. If that
// ends, everything ends.
//
// The value is the first process's memory as a part of the limit, so it makes no
// difference on the host: proc_pid_oom_score_adj(5). A command of podman exec inherits it
// through podman and its monitor; runtimes set it for no exec.
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

// memoryLimit returns the smallest memory limit in bytes on the cgroup of a process and
// those above, up to its unit, or 0. root is where cgroup2 is mounted.
func memoryLimit(root string, pid int) int64 {
	least := int64(0)
	for _, dir := range cgroupsOf(root, pid) {
		if n, ok := readNumber(filepath.Join(dir, "memory.max")); ok && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// startable is less than the processes and threads that podman exec needs in a toolbox.
const startable = 3

// checkProcesses refuses a session that podman could not start because the toolbox has
// reached its limit of processes and threads: the runtime would only say that a resource
// is unavailable.
func checkProcesses(root string, r *join.Record) error {
	for _, dir := range cgroupsOf(root, r.PID) {
		limit, limited := readNumber(filepath.Join(dir, "pids.max"))
		now, known := readNumber(filepath.Join(dir, "pids.current"))
		if limited && known && limit-now < startable {
			return fail.New(nil, "toolbox %s has reached its limit of processes: %d of %d", r.Name, now, limit).
				Hint("end what runs in it with: tbx stop %s", r.Name)
		}
	}
	return nil
}

// cgroupsOf returns the directories of a process's cgroup and of those above, up to its
// unit. There are none with version 1, where podman sets no limits for a user.
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

// readNumber reads a file with one number; "max" means none.
func readNumber(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	n, bad := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && bad == nil
}
