package boxinit

import (
	"fmt"
	"path"
	"strings"
)

// ExitSwapped is the exit code of the first process if a shared directory is not the one
// that the toolbox was made for.
const ExitSwapped = 77

// Named is a host directory that an isolated toolbox was made with. The first process
// gets it as three arguments.
type Named struct {
	Target string // its mount point inside
	Root   string // the directory of its file system that the host had mounted when the toolbox was made ...
	Rel    string // ... and the directory below that; empty: that itself
}

// Args returns the arguments of Pause for mounts.
func Args(mounts []Named) []string {
	var out []string
	for _, n := range mounts {
		out = append(out, n.Target, n.Root, n.Rel)
	}
	return out
}

// CheckNamed returns an error unless each directory is mounted at its target, args being
// of Args. A container engine follows links in the path of a mount. Without this check,
// whoever can put a link there would choose what the toolbox sees, at a start that nobody
// else checks.
func CheckNamed(args []string, mounts []MountLine) error {
	for ; len(args) >= 3; args = args[3:] {
		n := Named{args[0], args[1], args[2]}
		found := ""
		for _, m := range mounts {
			if m.Point == n.Target { // the last one is visible
				found = m.Root
			}
		}
		switch {
		case found == "":
			return fmt.Errorf("%s is not mounted at its place: a link is on the way to it", n.Target)
		case !n.is(found):
			return fmt.Errorf("%s is no longer the same directory as when the toolbox was made: %s", n.Target, found)
		}
	}
	return nil
}

// is reports whether the directory root of a file system is the named one. Its mount on
// the host may have changed since, for example when the home moved to another disk; the
// end of its path has not.
func (n Named) is(root string) bool {
	rel := "/" + n.Rel
	switch {
	case root == path.Join(n.Root, n.Rel):
		return true
	case n.Rel == "" || root == "/":
		return false
	}
	return strings.HasSuffix(root, rel) || strings.HasSuffix(rel, root)
}
