package stage

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// TreeSocket is the descriptor of the socket on which SendHostTree answers.
const TreeSocket = 3

// SendHostTree clones the mounts of the host's root, recursively, and sends the
// detached tree as a descriptor over TreeSocket. It is started in new user and
// mount namespaces, where open_tree(2) is allowed; what it clones is what the
// user sees, without the mounts of podman's own namespace, and goes on
// receiving the host's mounts and unmounts.
func SendHostTree() error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	for {
		if err := unix.Sendmsg(TreeSocket, []byte{0}, unix.UnixRights(fd), nil, 0); err != unix.EINTR {
			return err
		}
	}
}
