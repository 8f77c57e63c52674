package toolbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// canShowHost says whether a detached mount of the host's root can be had here.
// Kernels before 5.2 and hosts that forbid user namespaces cannot; there podman
// binds the root, with all that is mounted in podman's own namespace.
func (m *Manager) canShowHost(boxFile string) bool {
	trees, err := openTrees(boxFile, "/")
	if err != nil {
		return false
	}
	closeAll(trees)
	return true
}

// attachable returns what of the host the initialiser shall attach, as descriptors
// from 3 on, and says in cfg which is which.
func (m *Manager) attachable(b *Box, cfg *boxinit.Config) []*os.File {
	var dirs []string
	view := !cfg.HostFiles && b.Spec.Has(HostView)
	if view {
		dirs = append(dirs, "/")
	}
	m.prepareInside(b, cfg.Inside)
	if cfg.Inside.Data != "" {
		dirs = append(dirs, cfg.Inside.Data, cfg.Inside.Run)
	}
	if len(dirs) == 0 {
		return nil
	}
	trees, err := openTrees(m.BoxFile, dirs...)
	if err != nil && view { // perhaps without the others
		trees, err = openTrees(m.BoxFile, "/")
	}
	switch {
	case err != nil && view:
		m.Progress.Warn("the host's files cannot be shown in toolbox "+string(b.Name)+": "+err.Error(), "")
	case err != nil: // the initialiser finds them by their names, or says so
		m.debug("detached mounts for toolbox %s: %v", b.Name, err)
	}
	next := 3
	if view && err == nil {
		cfg.HostFiles, cfg.HostTreeFD, next = true, 3, 4
	}
	if len(trees) == len(dirs) && cfg.Inside.Data != "" {
		cfg.Inside.DataFD, cfg.Inside.RunFD = next, next+1
	}
	return trees
}

// openTrees returns detached mounts of directories of the host, with all that is
// mounted below. They are taken by tbx-box in namespaces of its own, since
// open_tree(2) wants a privilege that the user has only there.
func openTrees(boxFile string, dirs ...string) ([]*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "tree"), os.NewFile(uintptr(pair[1]), "tree")
	defer ours.Close()
	cmd := exec.Command(boxFile, append([]string{"tree"}, dirs...)...)
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
	oob := make([]byte, unix.CmsgSpace(4*len(dirs)))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return nil, errors.New("tbx-box sent no descriptor")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != len(dirs) {
		return nil, errors.New("tbx-box sent no descriptor")
	}
	var trees []*os.File
	for i, fd := range fds {
		trees = append(trees, os.NewFile(uintptr(fd), "tree of "+dirs[i]))
	}
	return trees, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
