//go:build remote

package podman

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// calm takes from a process what it has of its starter's and an ordinary user may
// change: the processors that it may run on, its priorities, its place in the queue of
// those that are ended when memory is short, and what a core dump has in it. Containers,
// their monitors and first processes inherit all of that from podman's service, and a
// toolbox that was started from a job of low rank would keep it. The umask, open files
// and signals podman sets itself. What may not be changed stays as it is.
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
