//go:build remote

package podman

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// calm resets properties that a process has from its starter and that an ordinary user
// may change: its processors, its priorities, its rank when memory is short, and the
// contents of its core dumps. Containers, their monitors and first processes inherit them
// from podman's service, and a toolbox started from a low-priority job would keep them.
// podman sets umask, open files and signals itself. Properties that may not be changed
// stay.
func calm(pid int) {
	var all unix.CPUSet
	for i := range len(all) * 64 {
		all.Set(i)
	}
	unix.SchedSetaffinity(pid, &all) // the kernel leaves out those that the cpuset forbids
	const whoProcess, none = 1, 0    // ioprio_set(2)
	unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(pid), none)
	unix.Setpriority(unix.PRIO_PROCESS, pid, 0)
	proc := "/proc/" + strconv.Itoa(pid)
	now, _ := os.ReadFile(proc + "/oom_score_adj")
	for _, score := range []int{0, 100, 200} { // as sessions begin, systemd's user manager and its services
		if n, err := strconv.Atoi(strings.TrimSpace(string(now))); err != nil || n <= score ||
			os.WriteFile(proc+"/oom_score_adj", []byte(strconv.Itoa(score)), 0) == nil {
			break
		}
	}
	os.WriteFile(proc+"/coredump_filter", []byte("0x33"), 0) // core(5), the default
}
