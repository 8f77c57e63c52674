package join

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep ends every process in the mount namespace ns: TERM at first, KILL after
// grace. It is how a toolbox without a cgroup is stopped. Processes are found by
// the namespace they are in, never by a number or a name from before, and held
// by pidfd while they are judged.
//
// The user may signal even those that run as the toolbox's root: he owns the
// user namespace above them, user_namespaces(7).
func Sweep(ns uint64, grace time.Duration) {
	const round = 20 * time.Millisecond
	deadline := time.Now().Add(grace)
	for signalled := true; signalled; time.Sleep(round) {
		sig := unix.SIGTERM
		if !time.Now().Before(deadline) {
			sig = unix.SIGKILL
		}
		signalled = signalAll(ns, sig)
		if time.Now().After(deadline.Add(2 * time.Second)) {
			return // in an uninterruptible sleep: nothing more can be done
		}
	}
}

// signalAll says whether there was any process left.
func signalAll(ns uint64, sig unix.Signal) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	found := false
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if id, err := NamespaceID(e.Name(), "mnt"); err != nil || id != ns {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if id, err := NamespaceID(e.Name(), "mnt"); err == nil && id == ns {
			unix.PidfdSendSignal(fd, sig, nil, 0)
			found = true
		}
		unix.Close(fd)
	}
	return found
}
