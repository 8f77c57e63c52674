package toolbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// canShowHost says whether a detached mount of the host's root can be had here.
// Kernels before 5.2 and hosts that forbid user namespaces cannot; there podman
// binds the root, with all that is mounted in podman's own namespace.
func (m *Manager) canShowHost(boxFile string) bool {
	tree, err := openHostTree(boxFile)
	if err != nil {
		return false
	}
	tree.Close()
	return true
}

// openHostTree returns a detached mount of the host's root. It is taken by
// tbx-box in namespaces of its own, since open_tree(2) wants a privilege that
// the user has only there.
func openHostTree(boxFile string) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "tree"), os.NewFile(uintptr(pair[1]), "tree")
	defer ours.Close()
	cmd := exec.Command(boxFile, "tree")
	cmd.ExtraFiles = []*os.File{theirs} // becomes descriptor 3, stage.TreeSocket
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return nil, errors.New("tbx-box sent no descriptor")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("tbx-box sent no descriptor")
	}
	return os.NewFile(uintptr(fds[0]), "host tree"), nil
}
