package join

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// getParent is NS_GET_PARENT, ioctl_ns(2).
const getParent = 0xb702

// userNamespaces returns the inodes of the user namespace of a process and of its
// ancestors, innermost first, as far as the caller may see them: those below its own. It
// is empty for another user's process.
func userNamespaces(pid string) []uint64 {
	fd, err := eintr.Open("/proc/"+pid+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	var out []uint64
	for err == nil {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) == nil {
			out = append(out, st.Ino)
		}
		var parent int
		parent, err = unix.IoctlRetInt(fd, getParent)
		unix.Close(fd)
		fd = parent
	}
	return out
}

// UserNamespaces returns the user namespace of a process and its ancestors, innermost
// first and this process's own last, by their inodes. It is nil if the process is not
// visible, or not below this process's namespace.
func UserNamespaces(pid int) []uint64 {
	all := userNamespaces(strconv.Itoa(pid))
	own, err := NamespaceID("self", "user")
	if err != nil || len(all) == 0 || all[len(all)-1] != own {
		return nil
	}
	return all
}

// heldNamespace is an open namespace of a process: the number of an ended one is reused
// at once.
func heldNamespace(pid int, kind string) (*os.File, uint64, error) {
	held, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/" + kind)
	if err != nil {
		return nil, 0, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(held.Fd()), &st); err != nil {
		held.Close()
		return nil, 0, err
	}
	return held, st.Ino, nil
}
