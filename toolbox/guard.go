package toolbox

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// guard starts a companion that looks whether podman, which this process becomes, waits
// for ever for a file of the toolbox of that name. It ends with it, or soon.
func (m *Manager) guard(name string) error {
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
	companion, err := os.StartProcess(m.BoxFile, []string{"tbx-box", "guard", strconv.Itoa(os.Getpid()), name}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, null, os.Stderr, self}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	return companion.Release()
}
