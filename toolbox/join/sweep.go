package join

import (
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep ends every process in the mount namespace of the container's first
// process pid, and in its user namespace or below that, where containers are that
// were made inside: it asks at first (HUP for shells, which ignore TERM, then TERM,
// and CONT for what is stopped) and kills after grace. It is how a toolbox
// without a cgroup is stopped. Processes are found by the namespaces they are in,
// never by a number or a name from before, and held by pidfd while they are
// judged. The namespaces are held open too: the number of one that has ended is the
// next one's at once, which may be another toolbox's. The container must have a user
// namespace of its own, as every toolbox of tbx's has.
//
// The user may signal even those that run as the toolbox's root: he owns the
// user namespace above them, user_namespaces(7).
func (s RuntimeState) Sweep(pid int, grace time.Duration) {
	var of place
	for _, ns := range []struct {
		kind string
		id   *uint64
	}{{"mnt", &of.mnt}, {"user", &of.user}} {
		held, id, err := heldNamespace(pid, ns.kind)
		if err != nil {
			return
		}
		defer held.Close()
		*ns.id = id
	}
	if own, err := NamespaceID("self", "user"); err != nil || own == of.user {
		of.user = 0
	}
	if s.Alive(pid) { // looked at after the namespaces were opened
		sweep(of, grace)
	}
}

// place is where a toolbox's processes are: the inodes of its namespaces.
type place struct{ mnt, user uint64 }

func (p place) has(pid string) bool {
	if id, err := NamespaceID(pid, "mnt"); err != nil || id == p.mnt {
		return err == nil
	}
	return p.user != 0 && slices.Contains(userNamespaces(pid), p.user)
}

func sweep(of place, grace time.Duration) {
	const round = 20 * time.Millisecond
	const giveUp = 2 * time.Second // in an uninterruptible sleep: nothing more can be done
	deadline := time.Now().Add(grace)
	asked := map[int]bool{}
	for time.Now().Before(deadline.Add(giveUp)) {
		kill := !time.Now().Before(deadline)
		left := each(of, func(pid, pidfd int) {
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

// each calls do for every process in a toolbox but this one, and returns how many
// there were.
func each(of place, do func(pid, pidfd int)) int {
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
		if !of.has(e.Name()) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if of.has(e.Name()) {
			found++
			do(pid, fd)
		}
		unix.Close(fd)
	}
	return found
}
