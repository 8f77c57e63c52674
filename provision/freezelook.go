package provision

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// lookAtSettings looks at what a package manager needs before it can install: repositories,
// keys and its own settings, and repositories that are directories.
func (f *freezing) lookAtSettings(ctx context.Context) error {
	accounts := []string{"/etc/passwd", "/etc/group"}
	read := accounts
	if f.old != nil {
		read = slices.Concat(accounts, f.old.Carry.Repositories)
	}
	a, err := f.w.Carry(ctx, &carry.Order{Dry: true, Read: read})
	if err != nil {
		return err
	}
	f.lookAtAccounts(a.Texts)
	if f.old == nil {
		return nil
	}
	c := f.old.Carry
	find := &carry.Find{}
	for _, t := range a.Texts {
		if t.Base || slices.Contains(accounts, t.Path) {
			continue
		}
		r := FrozenRepository{Path: t.Path, Lines: repositoryLines(t.Text)}
		f.lock.Repositories = append(f.lock.Repositories, r)
		find.In, find.Only = append(find.In, directoriesIn(r.Lines)...), append(find.Only, below(directoriesIn(r.Lines))...)
	}
	for _, p := range slices.Concat(c.Repositories, c.Settings) {
		dir := p
		if strings.ContainsAny(path.Base(p), "*?[") {
			dir = path.Dir(p)
		}
		find.In = append(find.In, dir)
		find.Only = append(find.Only, p, p+"/")
	}
	find.In = roots(find.In)
	found, err := f.find(ctx, &carry.Order{Find: find, Skip: slices.Clone(leftovers)})
	if err != nil {
		return err
	}
	f.take(found, &f.settings)
	f.removed = sorted(f.lock.Removed)
	return nil
}

// leftovers are what package managers put beside files.
var leftovers = []string{"*.dpkg-*", "*.ucf-*", "*.rpmnew", "*.rpmsave", "*.rpmorig", "*.pacnew", "*.pacsave", "*.apk-new"}

// below are patterns of directories and what is in them.
func below(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		out = append(out, d, d+"/")
	}
	return out
}

// roots are paths, each once and none below another.
func roots(paths []string) []string {
	var out []string
	for _, p := range sorted(paths) {
		if !slices.ContainsFunc(out, func(above string) bool { return strings.HasPrefix(p, above+"/") }) {
			out = append(out, p)
		}
	}
	return out
}

var (
	userInfo = regexp.MustCompile(`://[^/@\s]+@`)
	password = regexp.MustCompile(`(?i)^((?:proxy_)?password\s*=).*`)
)

// repositoryLines are those that say something, without who logs in.
func repositoryLines(text string) []string {
	out := []string{}
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, password.ReplaceAllString(userInfo.ReplaceAllString(l, "://…@"), "$1…"))
		}
	}
	return out
}

// directoriesIn are directories of the toolbox that repositories are.
func directoriesIn(lines []string) []string {
	var out []string
	for _, l := range lines {
		for _, word := range strings.FieldsFunc(l, func(r rune) bool { return r == ' ' || r == '\t' || r == '=' }) {
			for _, scheme := range []string{"file://", "file:", "copy://", "copy:", "dir://", "dir:"} {
				if dir, ok := strings.CutPrefix(word, scheme); ok && path.IsAbs(dir) && path.Clean(dir) != "/" {
					out = append(out, path.Clean(dir))
				}
			}
		}
	}
	return sorted(out)
}

// lookAtFiles looks at everything else.
func (f *freezing) lookAtFiles(ctx context.Context) error {
	o := &carry.Order{Find: &carry.Find{In: []string{"/"}, Homes: f.homes()}, Skip: slices.Concat(notFrozen, leftovers)}
	if f.old != nil {
		o.Skip = slices.Concat(o.Skip, f.old.Carry.Own)
	}
	found, err := f.find(ctx, o)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range slices.Concat(f.settings, f.lock.Removed) {
		there[p] = true
	}
	for _, l := range f.lock.LeftOut {
		there[l.Path] = true
	}
	found = slices.DeleteFunc(found, func(e carry.Found) bool { return there[e.Path] })
	f.take(found, &f.files)
	if f.passwd {
		f.leave("/etc/shadow", "passwords: users of the image that is built have none")
	}
	slices.SortFunc(f.lock.LeftOut, func(a, b FrozenLeft) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(f.lock.Files, func(a, b FrozenFile) int { return strings.Compare(a.Path, b.Path) })
	f.lock.Removed = sorted(f.lock.Removed)
	return nil
}

// homes are directories of users, which are never taken.
func (f *freezing) homes() []string {
	homes := []string{"/root"}
	for _, u := range f.lock.Users {
		row := strings.Split(u, ":")
		if n, _ := strconv.Atoi(row[2]); n >= 1000 && path.IsAbs(row[5]) {
			homes = append(homes, path.Clean(row[5]))
		}
	}
	return homes
}

// lookAtAccounts finds the users and groups that the image has not, and who was added to
// groups.
func (f *freezing) lookAtAccounts(texts []carry.Text) {
	rows := func(file string, base bool) (all [][]string) {
		for _, t := range texts {
			if t.Path != file || t.Base != base {
				continue
			}
			for _, l := range strings.Split(t.Text, "\n") {
				if row := strings.Split(l, ":"); len(row) >= 4 {
					all = append(all, row)
				}
			}
		}
		return all
	}
	find := func(all [][]string, name string) []string {
		for _, row := range all {
			if row[0] == name {
				return row
			}
		}
		return nil
	}
	f.passwd = len(rows("/etc/passwd", false)) > 0
	hadUsers, hadGroups := rows("/etc/passwd", true), rows("/etc/group", true)
	for _, row := range rows("/etc/group", false) {
		had := find(hadGroups, row[0])
		if had == nil {
			row[1] = "x"
			f.lock.Groups = append(f.lock.Groups, strings.Join(row, ":"))
			f.addAccount("/etc/group", row)
			continue
		}
		for _, name := range strings.Split(row[3], ",") {
			if name != "" && !slices.Contains(strings.Split(had[3], ","), name) {
				f.addMember(row[0], name)
			}
		}
	}
	for _, row := range rows("/etc/passwd", false) {
		if find(hadUsers, row[0]) == nil && len(row) == 7 {
			row[1] = "x"
			f.lock.Users = append(f.lock.Users, strings.Join(row, ":"))
			f.addAccount("/etc/passwd", row)
		}
	}
	if len(f.accounts) > 0 && !f.shell {
		f.accounts = nil
		f.leave("/etc/passwd", "users and groups: the image has no shell that could add them")
	}
}

// accountName is a name that can be written anywhere, useradd(8).
var accountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)

// writable says whether a text can be in a line of a Containerfile as it is, once a shell's
// quotes are around it.
func writable(text string) bool {
	return !strings.ContainsFunc(text, unicode.IsControl) && !strings.Contains(text, "<<") && !strings.Contains(text, `\`)
}

// addAccount adds a line to a table that has none by that name. Nobody can log in by it.
func (f *freezing) addAccount(file string, row []string) {
	if !accountName.MatchString(row[0]) || !writable(strings.Join(row, ":")) {
		f.leave(file, "the line of "+strconv.Quote(row[0])+": it has characters that no name has")
		return
	}
	name := packages.Quote("^" + regexp.QuoteMeta(row[0]) + ":")
	f.accounts = append(f.accounts, "{ grep -q "+name+" "+file+" || printf '%s\\n' "+packages.Quote(strings.Join(row, ":"))+" >>"+file+"; }")
	if file == "/etc/passwd" {
		f.accounts = append(f.accounts, "{ test ! -e /etc/shadow || grep -q "+name+" /etc/shadow || printf '%s\\n' "+
			packages.Quote(row[0]+":!*:::::::")+" >>/etc/shadow; }")
	}
}

func (f *freezing) addMember(group, name string) {
	if !accountName.MatchString(group) || !accountName.MatchString(name) {
		return // which is in no other table either
	}
	at := "/^" + regexp.QuoteMeta(group) + ":/"
	f.accounts = append(f.accounts, "sed -i -e "+packages.Quote(at+"s/$/,"+name+"/")+" -e "+packages.Quote(at+"s/:,/:/")+" /etc/group")
}
