// Package companion starts a small process beside this one, which is about to become
// another program. It does not wait for it.
package companion

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts program with args, the first of which is its name. It has no environment,
// runs in the root directory, reads nothing, writes to stdout and stderr (nil: nothing),
// and notices by descriptor 3, a pidfd of this process, when this process ends.
func Start(program string, args []string, stdout, stderr *os.File, sys *syscall.SysProcAttr) error {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	self := os.NewFile(uintptr(pidfd), "pidfd")
	defer self.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{null, stdout, stderr, self}
	for i, f := range files {
		if f == nil {
			files[i] = null
		}
	}
	p, err := os.StartProcess(program, args, &os.ProcAttr{Dir: "/", Env: []string{}, Files: files, Sys: sys})
	if err != nil {
		return err
	}
	return p.Release()
}
