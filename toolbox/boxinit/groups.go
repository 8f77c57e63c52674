package boxinit

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// firstStart reports whether no tbx has set this container up before: the first start
// writes tbx's rule for sudo. Without such a rule, no group is taken from the user.
func (b *box) firstStart() bool {
	_, err := os.Lstat(b.root + "/etc/sudoers.d/tbx")
	return err != nil && !b.cfg.NoSudo
}

// dropMember removes a user from the groups of an account in the image that has the same
// name by chance, such as ubuntu: otherwise a session would have those groups instead of
// the host's.
func dropMember(lines []string, user string) []string {
	for i, l := range lines {
		f := strings.Split(l, ":")
		if len(f) != 4 || f[0] == "sudo" || f[0] == "wheel" { // these are given by tbx
			continue
		}
		members := strings.Split(f[3], ",")
		if slices.Contains(members, user) {
			f[3] = strings.Join(slices.DeleteFunc(members, func(m string) bool { return m == user }), ",")
			lines[i] = strings.Join(f, ":")
		}
	}
	return lines
}

// memberships makes the user a member of the groups that may become root, in lines of
// group(5) or gshadow(5), which have their members in the same field.
func (b *box) memberships(lines []string, first bool) []string {
	if first {
		lines = dropMember(lines, b.cfg.User.Name)
	}
	for _, admin := range []string{"sudo", "wheel"} {
		lines = addMember(lines, admin, b.cfg.User.Name)
	}
	return lines
}

// shadowGroups keeps gshadow(5), if the image has it, consistent with group(5): grpck(8),
// gpasswd(1) and packages' scripts compare them.
func (b *box) shadowGroups(first bool) error {
	if _, err := b.stat("/etc/gshadow"); err != nil {
		return nil
	}
	groups, err := b.readThrough("/etc/group")
	if err != nil {
		return err
	}
	return b.editTable("/etc/gshadow", 0o640, func(lines []string) []string {
		for group := range strings.SplitSeq(string(groups), "\n") {
			f := strings.Split(group, ":")
			has := func(line string) bool { return strings.HasPrefix(line, f[0]+":") }
			if len(f) == 4 && f[2] == strconv.Itoa(b.cfg.User.GID) && !slices.ContainsFunc(lines, has) {
				lines = append(lines, f[0]+":!::")
			}
		}
		return b.memberships(lines, first)
	})
}
