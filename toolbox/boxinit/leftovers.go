package boxinit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An adopted toolbox still has its former maker's files: hooks of package managers,
// profiles, rules for sudo, and empty passwords. They are moved to adoptedDir, and giving
// the toolbox back restores them. This is done once: the directory is in the toolbox's
// own layer, and moves with it.

// The places of the cleared files.
const (
	adoptedDir  = "/var/lib/tbx/adopted"
	adoptedDone = adoptedDir + "/done" // it marks the end of the clearing
	adoptedPass = adoptedDir + "/passwords"
)

// Leftover is something that a former maker left in a toolbox.
type Leftover struct {
	Path string `json:"path"` // with a colon and an account, where it is a line of a table
	Why  string `json:"why"`
	Keep bool   `json:"keep,omitempty"` // it stays, and Why has a remedy
}

// leftoverRule is a maker's leftover at a path, which may be a pattern.
type leftoverRule struct {
	path string
	why  string
	is   func(root *os.Root, path string, fi fs.FileInfo) bool // nil: anything
}

// Rules for the makers; apx's toolboxes are made by distrobox too. Sources:
// distrobox-init of 1.4 to 2.0, and toolbox init-container of 0.0.99 to 0.3.
var leftoverRules = map[string][]leftoverRule{
	"distrobox": {
		{"/etc/dpkg/dpkg.cfg.d/00_distrobox", "keeps dpkg from unpacking below shared directories", nil},
		{"/etc/apt/apt.conf.d/00_distrobox", "unmounts and mounts at every call of apt", nil},
		{"/etc/distrobox-*-hook.sh", "the same", nil},
		{"/usr/share/libalpm/*/*distrobox*", "unmounts and mounts at every call of pacman", nil},
		{"/etc/pacman.d/hooks/*distrobox*", "the same", nil},
		{"/usr/lib/rpm/macros.d/macros.distrobox", "keeps rpm from unpacking below shared directories", nil},
		{"/etc/xbps.d/*distrobox*", "the same of xbps", nil},
		{"/etc/sudoers.d/sudoers", "its rule for sudo; tbx has its own", holds("NOPASSWD", "!fqdn")},
		{"/etc/doas.d/distrobox.conf", "the same for doas", nil},
		{"/etc/profile.d/distrobox_profile.sh", "calls distrobox's programs in every login shell", nil},
		{"/etc/fish/conf.d/distrobox_config.fish", "the same in fish", nil},
		{"/etc/passwd.done", "a mark of its first start", isEmpty},
		{"/.containersetupdone", "a mark of its first start", isEmpty},
		{"/usr/bin/entrypoint", "where its program was mounted", isEmpty},
		{"/usr/bin/distrobox-export", "where its program was mounted", isEmpty},
		{"/usr/bin/distrobox-host-exec", "where its program was mounted", isEmpty},
		{"/usr/bin/host-spawn", "calls the host by flatpak; tbx has its bridge", nil},
		{"/usr/local/bin/*", "leads to distrobox-host-exec; in its place: tbx shim add NAME", leadsTo("/distrobox-host-exec")},
		{"/usr/bin/*", "leads to distrobox-host-exec; in its place: tbx shim add NAME", leadsTo("/distrobox-host-exec")},
		{"/usr/local/bin/su", "its su", holds("--pty")},
		{"/usr/local/bin/user-integration", "links what is in the runtime directory; tbx has its own", nil},
		{"/usr/lib/systemd/system/user-integration@.service", "the same", nil},
		{"/var/tmp/.*.passwd.initialize", "a mark of its first start", isEmpty},
		{"/etc/ld.so.conf.d/*distrobox*", "names NVIDIA's libraries as they were mounted", nil},
		{"/usr/bin/*nvidia*", "where a program of NVIDIA's was mounted", isEmpty},
		{"/usr/lib/*nvidia*", "where a library of NVIDIA's was mounted", isEmpty},
		{"/usr/lib64/*nvidia*", "where a library of NVIDIA's was mounted", isEmpty},
		{"/usr/lib/*/*nvidia*", "where a library of NVIDIA's was mounted", isEmpty},
		{"/usr/share/*/*/*nvidia*", "where a file of NVIDIA's was mounted", isEmpty},
		{"/var/container-console", "a mark of its init", isEmpty},
	},
	"toolbx": {
		{"/etc/profile.d/toolbox.sh", "where its profile was mounted", isEmpty},
		{"/usr/bin/toolbox", "where its program was mounted", isEmpty},
		{"/usr/lib/rpm/macros.d/macros.toolbox", "keeps rpm from unpacking below shared directories", nil},
		{"/etc/ld.so.conf.d/toolbx-nvidia.conf", "names NVIDIA's libraries as they were mounted", nil},
		{"/etc/pkcs11/modules/p11-kit-client.module", "asks a server for certificates that Toolbx starts", holds("p11-kit-client")},
	},
}

// keptRules are leftovers that stay, and must be reported.
var keptRules = []leftoverRule{
	{"/usr/share/libalpm/scripts/systemd-hook", "distrobox has put a script in its place that does nothing: pacman -S systemd",
		holds("exit 0")},
}

func isEmpty(_ *os.Root, _ string, fi fs.FileInfo) bool {
	return fi.Mode().IsRegular() && fi.Size() == 0
}

func leadsTo(end string) func(*os.Root, string, fs.FileInfo) bool {
	return func(root *os.Root, p string, fi fs.FileInfo) bool {
		to, err := root.Readlink(p)
		return err == nil && strings.HasSuffix(to, end)
	}
}

// holds accepts a small file with one of these words in it.
func holds(words ...string) func(*os.Root, string, fs.FileInfo) bool {
	const most = 16 << 10
	return func(root *os.Root, p string, fi fs.FileInfo) bool {
		if !fi.Mode().IsRegular() || fi.Size() > most {
			return false
		}
		data, err := root.ReadFile(p)
		return err == nil && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(string(data), w) })
	}
}

// FindLeftovers looks for a maker's leftovers below root, a toolbox's root or its layer.
// No link leads out of it.
func FindLeftovers(root *os.Root, maker, user string) []Leftover {
	var out []Leftover
	find := func(rules []leftoverRule, keep bool) {
		for _, r := range rules {
			for _, p := range matching(root, r.path) {
				fi, err := root.Lstat(p)
				if err != nil || fi.IsDir() || r.is != nil && !r.is(root, p, fi) ||
					slices.ContainsFunc(out, func(l Leftover) bool { return l.Path == "/"+p }) {
					continue
				}
				out = append(out, Leftover{"/" + p, r.why, keep})
			}
		}
	}
	find(leftoverRules[ruleOf(maker)], false)
	if ruleOf(maker) == "distrobox" {
		find(keptRules, true)
	}
	for _, e := range emptyPasswords(root, user) {
		out = append(out, Leftover{e, "an empty password, by which everybody may log in where passwords are asked for; it is locked", false})
	}
	return out
}

func ruleOf(maker string) string {
	if maker == "apx" {
		return "distrobox"
	}
	return maker
}

// matching returns the paths below root that match a pattern, without the leading slash.
func matching(root *os.Root, pattern string) []string {
	pattern = strings.TrimPrefix(pattern, "/")
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	found, _ := fs.Glob(root.FS(), pattern) // of a pattern that is right
	return found
}

// The tables of accounts, with the index of the password in them.
const (
	passwdTable = "/etc/passwd"
	shadowTable = "/etc/shadow"
)

// emptyPasswords returns the accounts of root and of the user with an empty password, as
// TABLE:ACCOUNT.
func emptyPasswords(root *os.Root, user string) []string {
	var out []string
	for _, table := range []string{passwdTable, shadowTable} {
		data, err := root.ReadFile(table[1:])
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(data), "\n") {
			f := strings.Split(line, ":")
			if len(f) > 2 && f[1] == "" && (f[0] == "root" || f[0] == user) {
				out = append(out, table+":"+f[0])
			}
		}
	}
	return out
}

// ListLeftovers writes FindLeftovers as JSON; args are the directory, the maker and the
// user.
func ListLeftovers(args []string, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("leftovers: it needs a directory, a maker and a user")
	}
	root, err := os.OpenRoot(args[0])
	if err != nil {
		return err
	}
	defer root.Close()
	return json.NewEncoder(out).Encode(FindLeftovers(root, args[1], args[2]))
}

// clearLeftovers clears an adopted toolbox once.
func (b *box) clearLeftovers() error {
	if b.cfg.Leftovers == "" || b.exists(adoptedDone) {
		return nil
	}
	root, err := os.OpenRoot(b.root + "/")
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(adoptedDir[1:], 0o700); err != nil {
		return err
	}
	found := FindLeftovers(root, b.cfg.Leftovers, b.cfg.User.Name)
	var failed []error
	if locked := emptyPasswords(root, b.cfg.User.Name); len(locked) > 0 && !b.exists(adoptedPass) { // before any is
		failed = append(failed, b.create(adoptedPass, []byte(strings.Join(locked, "\n")+"\n"), 0o600))
	}
	for _, l := range found {
		table, account, isLine := strings.Cut(l.Path, ":")
		switch {
		case l.Keep:
		case isLine:
			failed = append(failed, b.setPassword(table, account, "", locks[table]))
		default:
			if err := moveAside(root, l.Path, adoptedDir+"/files"+l.Path); err != nil {
				failed = append(failed, fmt.Errorf("%s, which %s left, stays: %w", l.Path, b.cfg.Leftovers, err))
			}
		}
	}
	failed = append(failed, b.create(adoptedDone, nil, 0o600))
	return errors.Join(failed...)
}

// locks replace an empty password: nobody can type them.
var locks = map[string]string{passwdTable: "x", shadowTable: "*"}

// setPassword replaces the password field of an account, if it is was.
func (b *box) setPassword(table, account, was, is string) error {
	return b.editTable(table, 0o640, func(lines []string) []string {
		for i, l := range lines {
			if f := strings.Split(l, ":"); len(f) > 2 && f[0] == account && f[1] == was {
				f[1] = is
				lines[i] = strings.Join(f, ":")
			}
		}
		return lines
	})
}

// moveAside moves a file to another place of the same tree, and makes the parents.
func moveAside(root *os.Root, from, to string) error {
	if dir := path.Dir(to)[1:]; dir != "" {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return root.Rename(from[1:], to[1:])
}

// restoreLeftovers restores an adopted toolbox as its maker left it, for that maker to
// take over, and removes tbx's own files that are in that one's way.
func (b *box) restoreLeftovers() error {
	root, err := os.OpenRoot(b.root + "/")
	if err != nil {
		return err
	}
	defer root.Close()
	failed := []error{b.dropOwn(root)}
	base := filepath.Join(adoptedDir, "files")
	if err := fs.WalkDir(root.FS(), base[1:], func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // there is nothing to take back
		}
		to := strings.TrimPrefix("/"+p, base)
		if _, serr := root.Lstat(to[1:]); serr == nil {
			return nil // something took its place since
		}
		failed = append(failed, moveAside(root, "/"+p, to))
		return nil
	}); err != nil {
		failed = append(failed, err)
	}
	if data, err := root.ReadFile(adoptedPass[1:]); err == nil {
		for _, line := range strings.Fields(string(data)) {
			if table, account, ok := strings.Cut(line, ":"); ok {
				failed = append(failed, b.setPassword(table, account, locks[table], ""))
			}
		}
	}
	failed = append(failed, root.RemoveAll(adoptedDir[1:]))
	_ = root.Remove(path.Dir(adoptedDir)[1:]) // unless tbx keeps something else there
	return errors.Join(failed...)
}

// dropOwn removes tbx's files from the toolbox.
func (b *box) dropOwn(root *os.Root) error {
	var failed []error
	for _, p := range []string{
		"/etc/sudoers.d/tbx", "/etc/doas.d/tbx.conf", "/usr/lib/rpm/macros.d/macros.tbx", "/etc/profile.d/tbx.sh", "/etc/profile.d/tbx.zsh",
		"/etc/containers/containers.conf.d/tbx.conf", shellFile,
	} {
		if err := root.Remove(p[1:]); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			failed = append(failed, err)
		}
	}
	const policy = "usr/sbin/policy-rc.d"
	if fi, err := root.Lstat(policy); err == nil && holds("Written by tbx")(root, policy, fi) {
		failed = append(failed, root.Remove(policy))
	}
	for _, pattern := range []string{"/usr/local/bin/*", "/etc/*"} {
		for _, p := range matching(root, pattern) {
			if to, err := root.Readlink(p); err == nil && (below(to, "/run/tbx") || to == chrootMark) {
				failed = append(failed, root.Remove(p))
			}
		}
	}
	// Toolbx and distrobox mount the host's over it, which needs a file.
	if to, err := root.Readlink("etc/machine-id"); err == nil && below(to, HostView) {
		failed = append(failed, root.Remove("etc/machine-id"), b.create("/etc/machine-id", nil, 0o444))
	}
	return errors.Join(failed...)
}
