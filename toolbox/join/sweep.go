package join

import (
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Held is a toolbox by its open namespaces: the number of an ended one is reused at once,
// perhaps by another toolbox.
type Held struct {
	of    place
	files []*os.File
}

// Hold returns the toolbox whose first process is pid, or nil. The container must have a
// user namespace of its own, like every toolbox of tbx.
func (s RuntimeState) Hold(pid int) *Held {
	h := &Held{}
	for _, ns := range []struct {
		kind string
		id   *uint64
	}{{"mnt", &h.of.mnt}, {"user", &h.of.user}} {
		file, id, err := heldNamespace(pid, ns.kind)
		if err != nil {
			h.Close()
			return nil
		}
		h.files = append(h.files, file)
		*ns.id = id
	}
	if own, err := NamespaceID("self", "user"); err != nil || own == h.of.user {
		h.of.user = 0
	}
	if !s.Alive(pid) { // looked at after the namespaces were opened
		h.Close()
		return nil
	}
	return h
}

// Close releases the namespaces. h may be nil.
func (h *Held) Close() {
	if h != nil {
		for _, f := range h.files {
			f.Close()
		}
	}
}

// Sweep ends every process in the toolbox's mount namespace, and in its user namespace or
// below, where containers made inside are, in whatever cgroup a podman there has put
// them. First it asks (HUP for shells, which ignore TERM, then TERM, and CONT for stopped
// ones), and after grace it kills. It finds processes by their namespaces, never by an
// old number or name, and holds them by pidfd while it checks them. h may be nil.
//
// The user may even signal those that run as the toolbox's root, because the user owns
// the user namespace above them, user_namespaces(7).
func (h *Held) Sweep(grace time.Duration) {
	if h != nil {
		sweep(h.of, grace)
	}
}

// Sweep is Hold and Held.Sweep.
func (s RuntimeState) Sweep(pid int, grace time.Duration) {
	h := s.Hold(pid)
	defer h.Close()
	h.Sweep(grace)
}

// place identifies a toolbox's processes: the inodes of its namespaces.
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

// each calls do for every process in a toolbox except this one, and returns their number.
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

// Others returns the numbers of the processes in the toolbox except this one and first,
// the toolbox's first, and whether first was visible: if not, nothing is known about the
// others. h may be nil.
func (h *Held) Others(first int) (others []int, seen bool) {
	if h == nil {
		return nil, false
	}
	each(h.of, func(pid, _ int) {
		if pid == first {
			seen = true
		} else {
			others = append(others, pid)
		}
	})
	return others, seen
}
