package helper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// opening are functions of the kernel in which a thread waits that opens a file, as
// proc_pid_wchan(5) names them: until somebody opens the other end of a FIFO, or gives
// up a lease.
var opening = []string{"wait_for_partner", "fifo_open", "__break_lease"}

const (
	guardLook = 100 * time.Millisecond
	guardSeen = 10              // looks at which the same thread waits, before it counts
	guardTime = 2 * time.Minute // by when podman has read what it reads
	guardSize = 512 << 20       // bytes of memory: podman exec takes less than a tenth
)

// Waits looks at a process, podman that is about to enter a toolbox, until it has ended
// or has had the time to read what it reads. It returns true if that has no end, because
// somebody made it so: podman opens /etc/passwd and /etc/group in a toolbox, whose root
// can exchange them at any moment, for a FIFO or for a file with one line of a terabyte,
// and holds the container's lock meanwhile. ended says whether the process has ended
// within a time.
func Waits(pid int, ended func(time.Duration) bool) bool {
	seen := map[string]int{}
	for begun := time.Now(); !ended(guardLook) && time.Since(begun) < guardTime; {
		if memory(pid) > guardSize {
			return true
		}
		now := waiting(pid)
		for thread := range seen {
			if !slices.Contains(now, thread) {
				delete(seen, thread)
			}
		}
		for _, thread := range now {
			if seen[thread]++; seen[thread] >= guardSeen {
				return true
			}
		}
	}
	return false
}

// waiting are the threads of a process that wait to open a file.
func waiting(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, _ := os.ReadDir(dir)
	var out []string
	for _, t := range threads {
		if at, err := os.ReadFile(filepath.Join(dir, t.Name(), "wchan")); err == nil && slices.Contains(opening, string(at)) {
			out = append(out, t.Name())
		}
	}
	return out
}

// memory is what a process has in memory, in bytes, proc_pid_statm(5).
func memory(pid int) int64 {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	var size, resident int64
	fmt.Sscan(string(data), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// Guard stands beside podman exec, of the process number args[0] and the pidfd that is
// descriptor 3. It ends podman where that waits as Waits says, and says so of the toolbox
// args[1]. When podman has ended, it ends the session that has the mark args[2], on a
// terminal if args[3] is "terminal". Nobody else would: tbx has become podman.
func Guard(args []string) int {
	if len(args) != 4 {
		return 125
	}
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return 125
	}
	session := &execSession{podman: pid, mark: args[2], pidfd: -1}
	if !Waits(pid, func(wait time.Duration) bool {
		over := ended(int(wait / time.Millisecond))
		session.look()
		return over
	}) {
		for !ended(-1) {
		}
		unix.Dup3(0, 2, 0) // whoever reads what podman said waits no longer; 0 is /dev/null
		session.end(args[3] == "terminal")
		return 0
	}
	// The name is a toolbox's, which has no character that a terminal would heed.
	fmt.Fprintf(os.Stderr, "tbx: toolbox %s cannot be entered: podman waits for %s\n", args[1], Awaited)
	fmt.Fprintf(os.Stderr, "tbx: hint: what is in it did that; end it with: tbx stop %s\n", args[1])
	unix.PidfdSendSignal(3, unix.SIGKILL, nil, 0)
	return 0
}

// ended says whether the process whose pidfd is descriptor 3 has ended within
// milliseconds; -1: it waits for that.
func ended(milliseconds int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: 3, Events: unix.POLLIN}}, milliseconds) // readable: it ended, pidfd_open(2)
	return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
}

// Awaited is for what podman waits.
const Awaited = "its /etc/passwd or /etc/group, which cannot be read to an end"
