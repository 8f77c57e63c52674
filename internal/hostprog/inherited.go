package hostprog

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// WithoutInherited calls start, which starts a process that outlives this one, and hides
// this process's inherited descriptors from it, except the standard streams. If the new
// process kept a lock, the next run of a script would wait for it; if it kept a pipe, the
// reader would. The descriptors stay open here, for the command that this process
// becomes. Start nothing else meanwhile.
func WithoutInherited(start func() error) error {
	open, _ := os.ReadDir("/proc/self/fd") // without it they are passed on
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		// Go's own all have the flag.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
			defer unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags)
		}
	}
	return start()
}
