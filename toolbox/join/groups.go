package join

import (
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Groups are the supplementary groups of a session, as numbers inside.
type Groups struct {
	IDs   []int    // empty: those that the process has
	Given []string // names of those that were given inside
	Lost  []string // the host's, by number, that cannot be had beside them
}

// SessionGroups returns the groups for the user of that name: those of the toolbox's
// group(5) and, unless drop, the host's beside them. Where the toolbox gives him none
// but sudo and wheel, in which tbx puts him itself, it returns none: the session keeps
// those of the host, which show up as nogroup inside and act all the same.
//
// The kernel has no way to add a group. setgroups(2) sets all, and takes only those
// that have a number in the user namespace, as /etc/subgid gives them: the host's other
// groups are then lost.
func (t *Target) SessionGroups(user string, drop bool) Groups {
	g := memberships(t.readTable("/etc/group"), user)
	if len(g.Given) == 0 {
		return Groups{}
	}
	held, err := os.Getgroups()
	if err != nil || drop {
		return g
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(t.Record.PID) + "/gid_map")
	if err != nil {
		return g
	}
	for _, gid := range held {
		switch inside, ok := mapped(string(data), gid); {
		case gid == os.Getgid():
		case !ok:
			g.Lost = append(g.Lost, strconv.Itoa(gid))
		case !slices.Contains(g.IDs, inside):
			g.IDs = append(g.IDs, inside)
		}
	}
	return g
}

// memberships finds a user in the text of group(5). Given leaves out what tbx gave.
func memberships(table, user string) (g Groups) {
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), user) {
			continue
		}
		gid, err := strconv.Atoi(f[2])
		if err != nil || gid < 0 {
			continue
		}
		g.IDs = append(g.IDs, gid)
		if f[0] != "sudo" && f[0] != "wheel" {
			g.Given = append(g.Given, f[0])
		}
	}
	return g
}

// mapped returns what a group of this user namespace is in the one of gidMap,
// user_namespaces(7).
func mapped(gidMap string, gid int) (inside int, ok bool) {
	for line := range strings.Lines(gidMap) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		in, err1 := strconv.Atoi(f[0])
		out, err2 := strconv.Atoi(f[1])
		n, err3 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil && err3 == nil && gid >= out && gid-out < n {
			return in + gid - out, true
		}
	}
	return 0, false
}

// readTable returns the text of a table of accounts inside, or nothing where it is no
// regular file or far too large.
func (t *Target) readTable(path string) string {
	fd, err := t.open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > 1<<20 {
		return ""
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	return string(data)
}
