package join

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep ends every process in the mount namespace ns: it asks at first (HUP for
// shells, which ignore TERM, then TERM, and CONT for what is stopped) and kills
// after grace. It is how a toolbox without a cgroup is stopped. Processes are
// found by the namespace they are in, never by a number or a name from before,
// and held by pidfd while they are judged.
//
// The user may signal even those that run as the toolbox's root: he owns the
// user namespace above them, user_namespaces(7).
func Sweep(ns uint64, grace time.Duration) {
	const round = 20 * time.Millisecond
	const giveUp = 2 * time.Second // in an uninterruptible sleep: nothing more can be done
	deadline := time.Now().Add(grace)
	asked := map[int]bool{}
	for time.Now().Before(deadline.Add(giveUp)) {
		kill := !time.Now().Before(deadline)
		left := each(ns, func(pid, pidfd int) {
			switch {
			case kill:
				unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
			case !asked[pid]:
				asked[pid] = true
				for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGCONT} {
					unix.PidfdSendSignal(pidfd, sig, nil, 0)
				}
			}
		})
		if left == 0 {
			return
		}
		time.Sleep(round)
	}
}

// each calls do for every process in the mount namespace but this one, and
// returns how many there were.
func each(ns uint64, do func(pid, pidfd int)) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	found := 0
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
			found++
			do(pid, fd)
		}
		unix.Close(fd)
	}
	return found
}
