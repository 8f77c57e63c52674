package boxinit

import (
	"os"
	"slices"
	"strings"
)

// firstStart says whether no tbx has set this container up before. Who may sudo has
// a rule since then; in others no group is taken from the user.
func (b *box) firstStart() bool {
	_, err := os.Lstat(b.root + "/etc/sudoers.d/tbx")
	return err != nil && !b.cfg.NoSudo
}

// dropMember takes a user out of the groups of an image's account that happens to have
// his name, such as ubuntu: a session has the groups that were given inside in
// place of the host's.
func dropMember(lines []string, user string) []string {
	for i, l := range lines {
		f := strings.Split(l, ":")
		if len(f) != 4 || f[0] == "sudo" || f[0] == "wheel" { // which tbx gives
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
