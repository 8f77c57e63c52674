package boxinit

import (
	"fmt"
	"path"
	"strings"
)

// ExitSwapped is with what the first process ends when a directory that the
// toolbox shares is not the one that it was made for.
const ExitSwapped = 77

// Named is a mount of a directory of the host that an isolated toolbox was made
// with. It goes to the first process as three arguments.
type Named struct {
	Target string // where it is mounted inside
	Root   string // which directory of its file system the host had mounted when the toolbox was made ...
	Rel    string // ... and the directory below that; empty: that itself
}

// Args are the arguments of Pause for mounts.
func Args(mounts []Named) []string {
	var out []string
	for _, n := range mounts {
		out = append(out, n.Target, n.Root, n.Rel)
	}
	return out
}

// CheckNamed returns an error unless each directory is mounted at its target,
// args being of Args. A container engine follows links in the path of what it
// mounts: who could put a link there would choose what the toolbox sees, at a
// start that nobody else looks at.
func CheckNamed(args []string, mounts []MountLine) error {
	for ; len(args) >= 3; args = args[3:] {
		n := Named{args[0], args[1], args[2]}
		found := ""
		for _, m := range mounts {
			if m.Point == n.Target { // the last one is what is seen
				found = m.Root
			}
		}
		switch {
		case found == "":
			return fmt.Errorf("%s is not mounted at its place: a link is on the way to it", n.Target)
		case !n.is(found):
			return fmt.Errorf("%s is another directory than when the toolbox was made: %s", n.Target, found)
		}
	}
	return nil
}

// is says whether the directory root of a file system is the one that was named.
// Where it is mounted on the host may have changed since, as when the home moves
// to a disk of its own; what its path ends with has not.
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
