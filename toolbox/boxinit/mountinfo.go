package boxinit

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// MountLine is a line of mountinfo, proc_pid_mountinfo(5).
type MountLine struct {
	ID, Parent int
	Device     string // major:minor of the file system
	Root       string // the mounted directory of the file system
	Point      string // where, as seen from the root of the process
	FSType     string
	Options    []string // of this mount, not of the file system
}

// ReadMounts parses a mountinfo file such as /proc/self/mountinfo. A line that it does
// not understand is an error, because it cannot be checked.
func ReadMounts(file string) ([]MountLine, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []MountLine
	lines := bufio.NewScanner(f)
	const longest = 1 << 20 // bytes; the layers of an overlay are in its line
	lines.Buffer(nil, longest)
	for lines.Scan() {
		l, err := parseMount(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, l)
	}
	return out, lines.Err()
}

func parseMount(line string) (MountLine, error) {
	before, after, ok := strings.Cut(line, " - ")
	f := strings.Split(before, " ")
	if !ok || len(f) < 6 {
		return MountLine{}, fmt.Errorf("not a line of mountinfo: %q", line)
	}
	id, err1 := strconv.Atoi(f[0])
	parent, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil {
		return MountLine{}, fmt.Errorf("not a line of mountinfo: %q", line)
	}
	fstype, _, _ := strings.Cut(after, " ")
	return MountLine{ID: id, Parent: parent, Device: f[2], Root: unescape(f[3]), Point: unescape(f[4]), FSType: fstype,
		Options: strings.Split(f[5], ",")}, nil
}

// unescape undoes the octal escapes of mountinfo for space, tab, newline and backslash.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace
