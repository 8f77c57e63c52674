package toolbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/rights"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// canShowHost reports whether a detached mount of the host's root is possible. Kernels
// before 5.2 and hosts that forbid user namespaces cannot do it; there podman binds the
// root, with all mounts of podman's own namespace.
func (m *Manager) canShowHost(boxFile string) bool {
	trees, err := openTrees(boxFile, "/")
	if err != nil {
		return false
	}
	closeAll(trees)
	return true
}

// attachable returns the host's directories that the initialiser shall attach, as
// descriptors from 3 on, and records in cfg which is which. r is the running toolbox.
func (m *Manager) attachable(b *Box, r *join.Record, cfg *boxinit.Config) []*os.File {
	m.prepareInside(b, cfg.Inside)
	type tree struct {
		dir string
		fd  *int
	}
	var wanted []tree
	view := !cfg.HostFiles && b.Spec.Has(integration.HostView)
	if view {
		wanted = append(wanted, tree{"/", &cfg.HostTreeFD})
	}
	if cfg.Inside.Data != "" {
		wanted = append(wanted, tree{cfg.Inside.Data, &cfg.Inside.DataFD}, tree{cfg.Inside.Run, &cfg.Inside.RunFD})
	}
	attach := m.lackingMounts(b, cfg.Inside.Places)
	for i := range attach {
		wanted = append(wanted, tree{attach[i].Host, &attach[i].FD})
	}
	if !b.Spec.Isolated && !sees(r, r.Box) {
		wanted = append(wanted, tree{b.boxDir(m.Host), &cfg.BoxFD})
	}
	var trees []*os.File
	var err error
	for len(wanted) > 0 { // all of them, or one by one those that are possible
		var dirs []string
		for _, w := range wanted {
			dirs = append(dirs, w.dir)
		}
		if trees, err = openTrees(m.BoxFile, dirs...); err == nil {
			break
		}
		m.debug("detached mounts for toolbox %s: %v", b.Name, err)
		had := slices.DeleteFunc(slices.Clone(wanted), func(w tree) bool {
			one, err := openTrees(m.BoxFile, w.dir)
			closeAll(one)
			return err != nil
		})
		if len(had) == len(wanted) {
			break
		}
		wanted = had
	}
	for i := range trees {
		*wanted[i].fd = 3 + i
	}
	for _, a := range attach {
		if a.FD != 0 {
			cfg.Attach = append(cfg.Attach, a)
			continue
		}
		m.Progress.Warn(fmt.Sprintf("the host's mount at %s is not in toolbox %s", a.Host, b.Name),
			"files written there go below the mount; the host's files are below "+boxinit.HostView)
	}
	cfg.HostFiles = cfg.HostFiles || cfg.HostTreeFD != 0
	if view && !cfg.HostFiles {
		m.Progress.Warn("the host's files cannot be shown in toolbox "+string(b.Name)+": on this machine only root may clone mounts", "")
	}
	return trees
}

// sees reports whether a program is in a running toolbox, as far as tbx can look into it.
func sees(r *join.Record, program string) bool {
	t, err := r.OpenUnrecorded()
	if err != nil {
		return true
	}
	defer t.Close()
	return t.LookPath(program, nil, "/") == nil
}

// openTrees returns detached mounts of directories of the host, with all mounts below.
// tbx-box takes them in namespaces of its own, because open_tree(2) needs a privilege
// that the user has only there.
func openTrees(boxFile string, dirs ...string) ([]*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "tree"), os.NewFile(uintptr(pair[1]), "tree")
	defer ours.Close()
	cmd := exec.Command(boxFile, append([]string{"tree"}, dirs...)...)
	cmd.ExtraFiles = []*os.File{theirs} // becomes descriptor 3, helper.TreeSocket
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
	fds, err := rights.Received(oob[:n])
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
