package boxinit

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Owner is the file that the owner of an ephemeral toolbox has locked.
const Owner = "/run/tbx/owner"

// WhileOwned is the first argument of Pause in an ephemeral toolbox: it ends when Owner
// is not locked any more.
const WhileOwned = "--while-owned"

// awaitOwner waits until nobody holds the write lock of file, fcntl(2). Nobody in the
// toolbox can hold it, because the file is read-only there. The kernel releases it when
// its holder ends in any way.
func awaitOwner(file *os.File) error {
	for {
		err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLKW, &unix.Flock_t{Type: unix.F_RDLCK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// endWithOwner ends the toolbox when its owner has ended. In a pid namespace of its own
// the kernel ends its other processes. In the host's, and without a cgroup, nobody else
// would: so this process ends those that the user may end, by the mount namespace.
func endWithOwner(done chan<- int) {
	file, err := os.Open(Owner)
	if err == nil {
		err = awaitOwner(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tbx-box: the toolbox ends, because its owner cannot be awaited:", err)
		done <- 1
		return
	}
	if os.Getpid() != 1 {
		endBeside()
	}
	done <- 0
}

// endBeside kills the other processes in this process's mount namespace, until there are
// none that it may kill.
func endBeside() {
	const rounds = 50
	own, err := os.Readlink("/proc/self/ns/mnt")
	for i := 0; i < rounds && err == nil; i++ {
		if killIn(own) == 0 {
			return
		}
	}
}

// killIn kills the processes in a mount namespace except this one, and returns how many
// it could signal.
func killIn(mnt string) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	killed := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0) // held before it is judged: the number may be another's at any time
		if err != nil {
			continue
		}
		ns, err := os.Readlink("/proc/" + e.Name() + "/ns/mnt")
		if err == nil && ns == mnt && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			killed++
		}
		unix.Close(fd)
	}
	return killed
}
