package carry

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// table is one of /etc/passwd, /etc/group, /etc/shadow and /etc/gshadow: lines of fields.
type table [][]string

func (s *side) table(p string) (table, error) {
	data, err := s.root.ReadFile(inside(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var t table
	for _, line := range strings.Split(string(data), "\n") {
		if line != "" {
			t = append(t, strings.Split(line, ":"))
		}
	}
	return t, err
}

// row returns the row of that name, or nil.
func (t table) row(name string) []string {
	for _, r := range t {
		if r[0] == name {
			return r
		}
	}
	return nil
}

func (t table) text() string {
	var b strings.Builder
	for _, r := range t {
		b.WriteString(strings.Join(r, ":") + "\n")
	}
	return b.String()
}

// number returns the third field, or -1.
func number(r []string) int {
	if len(r) < 3 {
		return -1
	}
	n, err := strconv.Atoi(r[2])
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// free returns n, or another number of the same range that the table does not have: those
// below 1000 are the system's, login.defs(5).
func (t table) free(n int) int {
	step, first := 1, n
	if n < 1000 {
		step = -1
	}
	for slices.ContainsFunc(t, func(r []string) bool { return number(r) == n }) {
		if n += step; n < 100 && step < 0 {
			n, step = first, 1
		}
	}
	return n
}

// accounts are the four tables of one side.
type accounts struct{ passwd, group, shadow, gshadow table }

func (s *side) accounts() (a accounts, err error) {
	for _, t := range []struct {
		to   *table
		path string
	}{{&a.passwd, "/etc/passwd"}, {&a.group, "/etc/group"}, {&a.shadow, "/etc/shadow"}, {&a.gshadow, "/etc/gshadow"}} {
		if *t.to, err = s.table(t.path); err != nil {
			return a, err
		}
	}
	return a, nil
}

// users adds to the new toolbox the users and groups of the old one that its image did
// not have. It returns the homes of those users.
func (w *work) users() ([]string, error) {
	old, err := w.old.accounts()
	if err != nil {
		return nil, err
	}
	base, err := w.base.accounts()
	if err != nil {
		return nil, err
	}
	now, err := w.new.accounts()
	if err != nil {
		return nil, err
	}
	before := now
	before.passwd, before.group = slices.Clone(now.passwd), slices.Clone(now.group)
	groups := w.addGroups(old, base, &now)
	homes := w.addUsers(old, base, &now)
	w.addMembers(old, base, &now)
	if w.Dry || len(groups) == 0 && before.passwd.text() == now.passwd.text() && before.group.text() == now.group.text() {
		return homes, nil
	}
	for _, t := range []struct {
		table table
		path  string
	}{{now.passwd, "/etc/passwd"}, {now.group, "/etc/group"}, {now.shadow, "/etc/shadow"}, {now.gshadow, "/etc/gshadow"}} {
		if t.table == nil {
			continue
		}
		if err := w.rewrite(t.path, t.table.text()); err != nil {
			return nil, err
		}
	}
	return homes, nil
}

// rewrite replaces a file's content in one step, keeping its mode and owner.
func (w *work) rewrite(p, text string) error {
	fi, err := w.new.root.Stat(inside(p))
	if err != nil {
		return err
	}
	made := p + ".tbx-new"
	uid, gid := owner(fi)
	return errors.Join(
		w.new.root.WriteFile(inside(made), []byte(text), 0o600), w.new.root.Chown(inside(made), uid, gid),
		w.new.root.Chmod(inside(made), modeOf(fi)), w.new.root.Rename(inside(made), inside(p)))
}

func (w *work) addGroups(old, base accounts, now *accounts) (added []string) {
	for _, r := range old.group {
		n := number(r)
		if n < 0 || len(r) < 4 || base.group.row(r[0]) != nil {
			w.sameName(r, base.group, now.group, w.gids)
			continue
		}
		if is := now.group.row(r[0]); is != nil { // a package has made it
			w.gids.follow(n, number(is))
			continue
		}
		free := now.group.free(n)
		w.gids.follow(n, free)
		now.group = append(now.group, []string{r[0], r[1], strconv.Itoa(free), ""})
		if sh := old.gshadow.row(r[0]); sh != nil && now.gshadow != nil && now.gshadow.row(r[0]) == nil {
			now.gshadow = append(now.gshadow, sh)
		}
		added = append(added, r[0])
		w.say("group", r[0], Taken, numberNote(n, free))
	}
	return added
}

func numberNote(was, is int) string {
	if was == is {
		return ""
	}
	return "its number " + strconv.Itoa(was) + " is " + strconv.Itoa(is) + " now; the files that came along follow"
}

// sameName makes files of a user in the image follow if the new release uses another
// number.
func (w *work) sameName(r []string, base, now table, ids *numbers) {
	if b, n := base.row(r[0]), now.row(r[0]); b != nil && n != nil {
		ids.follow(number(r), number(n))
	}
}

func (w *work) addUsers(old, base accounts, now *accounts) (homes []string) {
	for _, r := range old.passwd {
		n := number(r)
		if n < 0 || len(r) < 7 || base.passwd.row(r[0]) != nil {
			w.sameName(r, base.passwd, now.passwd, w.uids)
			continue
		}
		if is := now.passwd.row(r[0]); is != nil {
			w.uids.follow(n, number(is))
			continue
		}
		free := now.passwd.free(n)
		w.uids.follow(n, free)
		row := slices.Clone(r)
		row[2] = strconv.Itoa(free)
		if gid, err := strconv.Atoi(row[3]); err == nil {
			row[3] = strconv.Itoa(w.gids.of(gid))
		}
		now.passwd = append(now.passwd, row)
		if sh := old.shadow.row(r[0]); sh != nil && now.shadow != nil && now.shadow.row(r[0]) == nil {
			now.shadow = append(now.shadow, sh)
		}
		w.say("user", r[0], Taken, numberNote(n, free))
		if home := path.Clean(r[5]); strings.HasPrefix(home, "/home/") || strings.HasPrefix(home, "/var/lib/") {
			homes = append(homes, home)
		}
	}
	return homes
}

// addMembers adds to groups of the new toolbox the members that the user had added, if
// these users exist.
func (w *work) addMembers(old, base accounts, now *accounts) {
	members := func(r []string) []string {
		if len(r) < 4 || r[3] == "" {
			return nil
		}
		return strings.Split(r[3], ",")
	}
	for _, r := range old.group {
		i := slices.IndexFunc(now.group, func(g []string) bool { return g[0] == r[0] && len(g) > 3 })
		if i < 0 {
			continue
		}
		is := members(now.group[i])
		for _, name := range members(r) {
			if !slices.Contains(members(base.group.row(r[0])), name) && !slices.Contains(is, name) && now.passwd.row(name) != nil {
				is = append(is, name)
			}
		}
		row := slices.Clone(now.group[i])
		row[3] = strings.Join(is, ",")
		now.group[i] = row
	}
}
