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
	IDs   []int    // empty: the process's own
	Given []string // names of those that were given inside
	Lost  []string // the host's, by number, that cannot be kept beside them
}

// SessionGroups returns the groups for the user of that name: those of the toolbox's
// group(5) and, unless drop, the host's. If the toolbox gives the user only sudo and
// wheel, which tbx adds itself, it returns none: the session keeps the host's groups,
// which appear as nogroup inside and still work.
//
// The kernel cannot add a group. setgroups(2) sets all, and accepts only those with a
// number in the user namespace, as /etc/subgid gives them: the host's other groups are
// then lost.
func (t *Target) SessionGroups(user string, drop bool) Groups {
	g := memberships(t.readTable("/etc/group"), user, os.Getgid())
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

// memberships finds a user in the text of group(5), but for own, the user's group that every
// session has: podman lists the user in it. Given leaves out what tbx gave.
func memberships(table, user string, own int) (g Groups) {
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), user) {
			continue
		}
		gid, err := strconv.Atoi(f[2])
		if err != nil || gid < 0 || gid == own {
			continue
		}
		g.IDs = append(g.IDs, gid)
		if f[0] != "sudo" && f[0] != "wheel" {
			g.Given = append(g.Given, f[0])
		}
	}
	return g
}

// mapped returns the number in the user namespace of gidMap for a group of this one,
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

// readTable returns the text of a table of accounts inside, or nothing if it is not a
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
