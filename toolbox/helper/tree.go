package helper

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// TreeSocket is the descriptor of the socket on which SendTrees answers.
const TreeSocket = 3

// SendTrees clones the mounts of directories of the host, each with all mounts below, and
// sends the detached trees as descriptors over TreeSocket. It runs in new user and mount
// namespaces, where open_tree(2) is allowed; it clones what the user sees, without the
// mounts of podman's own namespace, and the clones keep receiving the host's mounts and
// unmounts. An automount is cloned as such: mounting its target needs a server that may
// not answer.
func SendTrees(dirs []string) error {
	var fds []int
	for _, dir := range dirs {
		fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_NO_AUTOMOUNT)
		if err != nil {
			return fmt.Errorf("open_tree %s: %w", dir, err)
		}
		fds = append(fds, fd)
	}
	return unix.Sendmsg(TreeSocket, []byte{0}, unix.UnixRights(fds...), nil, 0)
}
