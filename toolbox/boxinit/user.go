package boxinit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ensureUser makes the host's user an account of the toolbox by editing passwd(5),
// group(5) and shadow(5), so that images without useradd work. An account of the image
// with the same name or number gives way: the number belongs to the host's user, who owns
// all files with it.
func (b *box) ensureUser() error {
	u := b.cfg.User
	uid, gid := strconv.Itoa(u.UID), strconv.Itoa(u.GID)
	if err := b.mkdir("/etc"); err != nil {
		return err
	}
	realName := b.realName()
	shell, err := b.chooseShell()
	if err != nil {
		return err
	}
	entry := strings.Join([]string{u.Name, "x", uid, gid, realName, u.Home, shell}, ":")
	first := b.firstStart()
	err = errors.Join(
		b.editTable("/etc/passwd", 0o644, func(lines []string) []string {
			return replaceEntry(ensureRoot(lines, "root:x:0:0:root:/root:"+shell), entry, func(f []string) bool {
				return f[0] == u.Name || len(f) > 2 && f[2] == uid
			})
		}),
		b.editTable("/etc/group", 0o644, func(lines []string) []string {
			lines = ensureRoot(lines, "root:x:0:")
			lines = ensureGroup(lines, u.Group, gid)
			return b.memberships(lines, first)
		}),
	)
	if _, serr := os.Stat(b.root + "/etc/shadow"); serr == nil {
		err = errors.Join(err, b.editTable("/etc/shadow", 0o640, func(lines []string) []string {
			for _, l := range lines {
				if strings.HasPrefix(l, u.Name+":") {
					return lines // a password set inside stays
				}
			}
			return append(lines, u.Name+":*:19000:0:99999:7:::")
		}))
	}
	err = errors.Join(err, b.shadowGroups(first), b.ensureHome(), b.ownWayToShares())
	if b.cfg.NoSudo {
		return err
	}
	return errors.Join(err, b.allowSudo())
}

// ensureHome makes a home for a toolbox that does not share the host's. It also copies
// the host's layout if /home is a link, as on OSTree systems, or the home itself is one.
func (b *box) ensureHome() error {
	u := b.cfg.User
	if to := b.cfg.HostHome; to != "" {
		home := b.root + "/home"
		os.Remove(home) // succeeds on an empty directory only, or on an old link
		if err := os.Symlink(to, home); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	home := b.root + u.Home
	if _, err := os.Stat(home); err == nil {
		return nil
	}
	if err := b.mkdir(filepath.Dir(u.Home)); err != nil {
		return err
	}
	if _, err := os.Stat(b.root + u.RealHome); err == nil && u.RealHome != "" {
		return b.link(u.Home, u.RealHome) // the host has a link there too
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	return b.chown(home)
}

// ownWayToShares gives the user the directories of the private home that podman made, as
// root, to mount a share of the host in it. The contents of a share stay the host's.
func (b *box) ownWayToShares() error {
	home := b.cfg.User.RealHome
	var failed []error
	for _, share := range b.cfg.Shares {
		for dir := filepath.Dir(share); strings.HasPrefix(dir, home+"/") && !b.shared(dir); dir = filepath.Dir(dir) {
			failed = append(failed, b.chownDirect(dir))
		}
	}
	return errors.Join(failed...)
}

// chownDirect gives the user a directory whose path has no link: the user can change a
// home at any moment.
func (b *box) chownDirect(dir string) error {
	if b.root != "" {
		return nil
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return unix.Fchownat(fd, "", b.cfg.User.UID, b.cfg.User.GID, unix.AT_EMPTY_PATH)
}

func (b *box) shared(dir string) bool {
	return slices.ContainsFunc(b.cfg.Shares, func(s string) bool { return below(dir, s) })
}

// below reports whether path is dir or lies in it.
func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func (b *box) stat(p string) (fs.FileInfo, error) { return os.Stat(b.root + p) }

// editTable rewrites a file of lines, if the edit changes anything.
func (b *box) editTable(p string, mode os.FileMode, edit func([]string) []string) error {
	if b.onVolume(p) {
		return nil
	}
	read := b.read
	if b.own(p) == nil { // a link within the image, like those of Nix: a file takes its place
		read = b.readThrough
	}
	old, err := read(p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var lines []string
	if text := strings.TrimRight(string(old), "\n"); text != "" {
		lines = strings.Split(text, "\n")
	}
	text := strings.Join(edit(lines), "\n") + "\n"
	if text == string(old) {
		return nil
	}
	return b.replace(p, []byte(text), mode)
}

// replace puts a new file in place of p, keeping the mode and owner of the old one. It
// rewrites a file that cannot be renamed over, because it is a mount.
func (b *box) replace(p string, data []byte, mode os.FileMode) error {
	full := b.root + p
	old, err := os.Stat(full)
	if err == nil {
		mode = old.Mode().Perm()
	}
	tmp := full + ".tbx-new"
	if err := b.create(p+".tbx-new", data, mode); err != nil {
		return err
	}
	if old != nil {
		sameOwner(tmp, old)
	}
	if err := os.Rename(tmp, full); err != nil {
		os.Remove(tmp)
		return b.overwrite(p, data)
	}
	return nil
}

// replaceEntry puts entry in place of the first line that matches, drops the other
// matches, and appends it if none matches. Lines that are no entries stay.
func replaceEntry(lines []string, entry string, match func(fields []string) bool) []string {
	out, done := make([]string, 0, len(lines)+1), false
	for _, l := range lines {
		if !strings.Contains(l, ":") || !match(strings.Split(l, ":")) {
			out = append(out, l)
			continue
		}
		if !done {
			out = append(out, entry)
			done = true
		}
	}
	if !done {
		out = append(out, entry)
	}
	return out
}

// ensureRoot adds root's line to a table that has none, as in an image without a distribution.
func ensureRoot(lines []string, entry string) []string {
	for _, l := range lines {
		if strings.HasPrefix(l, "root:") {
			return lines
		}
	}
	return append([]string{entry}, lines...)
}

// ensureGroup gives the number gid a name: the image's if it has one, else the host's if
// that is free.
func ensureGroup(lines []string, name, gid string) []string {
	taken := false
	for _, l := range lines {
		f := strings.Split(l, ":")
		if len(f) > 2 && f[2] == gid {
			return lines
		}
		taken = taken || f[0] == name
	}
	if taken || name == "" {
		name = "host-" + gid
	}
	return append(lines, name+":x:"+gid+":")
}

func addMember(lines []string, group, user string) []string {
	for i, l := range lines {
		f := strings.Split(l, ":")
		if f[0] != group || len(f) != 4 {
			continue
		}
		members := strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })
		for _, m := range members {
			if m == user {
				return lines
			}
		}
		f[3] = strings.Join(append(members, user), ",")
		lines[i] = strings.Join(f, ":")
	}
	return lines
}
