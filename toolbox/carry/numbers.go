package carry

import (
	"fmt"
	"os"
)

// numbers maps the numbers of users, or of groups, that differ between the old toolbox
// and the new one.
type numbers struct {
	names map[int]int // as seen inside
	files map[int]int // as files show them outside
	spans []span
}

// span is a line of /proc/PID/uid_map, user_namespaces(7), as read from the namespace
// around the toolbox's.
type span struct{ inside, outside, length int }

func numbersOf(pid int, file string) (*numbers, error) {
	n := &numbers{names: map[int]int{}, files: map[int]int{}}
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		var s span
		if _, err := fmt.Fscan(f, &s.inside, &s.outside, &s.length); err != nil {
			return n, nil // the end
		}
		n.spans = append(n.spans, s)
	}
}

// outside returns a number as files show it, or -1 if they cannot have it.
func (n *numbers) outside(id int) int {
	for _, s := range n.spans {
		if id >= s.inside && id-s.inside < s.length {
			return s.outside + id - s.inside
		}
	}
	return -1
}

// insideOf is the number that toolboxes know for one that files show, or nobody's.
func (n *numbers) insideOf(id int) int {
	for _, s := range n.spans {
		if id >= s.outside && id-s.outside < s.length {
			return s.inside + id - s.outside
		}
	}
	return 65534
}

// follow remembers that what had one number is to have another.
func (n *numbers) follow(was, is int) {
	if was < 0 || is < 0 || was == is {
		return
	}
	n.names[was] = is
	if a, b := n.outside(was), n.outside(is); a >= 0 && b >= 0 {
		n.files[a] = b
	}
}

// of returns the new toolbox's number for one of the old.
func (n *numbers) of(id int) int {
	if is, ok := n.names[id]; ok {
		return is
	}
	return id
}
