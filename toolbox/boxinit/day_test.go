package boxinit

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestD30_FormerLines: what earlier versions of tbx added to packages' files is taken
// out again, and the files are then as the packages made them.
func TestD30_FormerLines(t *testing.T) {
	const hook = "\n[ ! -r x ] || . x # added by tbx\n"
	cfg := jane()
	cfg.HostFiles, cfg.Follow = true, []string{"resolv.conf"}
	cfg.Files = []File{{Path: "/etc/bash.bashrc", Content: hook, Needs: "/etc/bash.bashrc", Undo: true}}
	root := tree(t, map[string]string{
		"/etc/bash.bashrc": "theirs" + hook, "/etc/host.conf": "-> " + HostView + "/etc/host.conf",
		HostView + "/etc/resolv.conf": "x", HostView + "/etc/host.conf": "the host's",
	})
	os.Chmod(root+"/etc/bash.bashrc", 0o640)
	for range 2 {
		set(t, root, cfg)
		if got := read(t, root+"/etc/bash.bashrc"); got != "theirs" {
			t.Errorf("bash.bashrc: %q", got)
		}
		if got := read(t, root+"/etc/host.conf"); got != "multi on\n" {
			t.Errorf("host.conf: %q", got)
		}
	}
	if fi, err := os.Stat(root + "/etc/bash.bashrc"); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	root = tree(t, map[string]string{"/etc/host.conf": "the image's", HostView + "/etc/host.conf": "the host's"})
	set(t, root, cfg)
	if got := read(t, root+"/etc/host.conf"); got != "the image's" {
		t.Errorf("host.conf, which is a package's: %q", got)
	}
}

// TestD31_Timezone: a file of the toolbox's own, for tzdata's scripts write to it.
func TestD31_Timezone(t *testing.T) {
	for _, c := range []struct {
		name  string
		image string // what the image has; "": nothing
		zone  string
		at    bool
		want  string
	}{
		{"the image's", "Etc/UTC\n", "Europe/Berlin", false, "Europe/Berlin\n"},
		{"a former link", "-> " + HostView + "/etc/timezone", "Europe/Berlin", false, "Europe/Berlin\n"},
		{"a former link that dangles, and no name", "-> " + HostView + "/etc/nowhere", "", false, ""},
		{"the host's alone", "", "Asia/Tokyo", true, "Asia/Tokyo\n"},
		{"nobody's", "", "Asia/Tokyo", false, ""},
		{"not known", "Etc/UTC\n", "", true, "Etc/UTC\n"},
	} {
		files := map[string]string{HostView + "/etc/timezone": "the host's"}
		if c.image != "" {
			files["/etc/timezone"] = c.image
		}
		root := tree(t, files)
		cfg := jane()
		cfg.HostFiles, cfg.Zone, cfg.ZoneAt = true, c.zone, c.at
		for range 2 {
			set(t, root, cfg)
			data, _ := os.ReadFile(root + "/etc/timezone")
			fi, err := os.Lstat(root + "/etc/timezone")
			if string(data) != c.want || err == nil && !fi.Mode().IsRegular() {
				t.Errorf("%s: %q, %v", c.name, data, fi)
			}
		}
	}
	root := tree(t, map[string]string{"/etc/timezone/": ""})
	cfg := jane()
	cfg.Zone = "Asia/Tokyo"
	set(t, root, cfg)
	if fi, err := os.Stat(root + "/etc/timezone"); err != nil || !fi.IsDir() {
		t.Errorf("a directory of the image's: %v, %v", fi, err)
	}
}

// TestD32_ClosedDirectories: directories that the caller's umask closed are opened, but
// for those that a distribution keeps closed.
func TestD32_ClosedDirectories(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Links = true, []string{"/run/dbus/socket"}
	cfg.Files = []File{{Path: "/etc/profile.d/tbx.sh", Content: "x", Mode: 0o644}}
	root := tree(t, map[string]string{"/run/dbus/": "", "/etc/profile.d/": "", "/etc/sudoers.d/": "", StateDir + "/": "", HostView + "/run/dbus/socket": ""})
	closed := []string{"/run/dbus", "/etc/profile.d", "/etc/sudoers.d", StateDir}
	for _, dir := range closed {
		os.Chmod(root+dir, 0o700)
	}
	set(t, root, cfg)
	for _, dir := range closed {
		want := os.FileMode(0o755)
		if dir == "/etc/sudoers.d" {
			want = 0o700
		}
		if fi, err := os.Stat(root + dir); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", dir, fi.Mode(), err, want)
		}
	}
}

// TestD33_EmptyRun: what an earlier start left in /run is gone, once in each start, and
// packages find the directories that they were installed with.
func TestD33_EmptyRun(t *testing.T) {
	files := map[string]string{
		"/run/crond.pid": "1", "/run/deep/er/x": "", "/run/link": "-> /etc", "/run/lock/held": "", "/run/host/keep": "", "/run/tbx/keep": "", "/run/.containerenv": "x",
		"/run/old/new": "", "/run/daemon/socket": "",
		"/usr/lib/tmpfiles.d/a.conf": "# no rule\nd /run/daemon 2750 - - -\nD! /var/run/named 0700 1 nobody-here\nd /run/nested/one\nL /run/a-link - - - - /usr/share\nf /run/utmp 0664 - - - text\n" +
			"d /var/lib/not 0755\nd /run/systemd/seats\nF! /run/nologin 0644 - - - \"booting\"\nd /run/%b\nr! /run/none\n",
		"/usr/lib/tmpfiles.d/hidden.conf": "d /run/hidden", "/etc/tmpfiles.d/hidden.conf": "-> /dev/null",
		"/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
	}
	root := tree(t, files)
	before := time.Now().Add(-time.Hour)
	cfg := jane()
	cfg.Started = time.Now().Add(time.Hour).UnixNano()
	set(t, root, cfg)
	for p, want := range map[string]bool{
		"/run/crond.pid": false, "/run/deep": false, "/run/link": false, "/run/lock/held": false, "/run/daemon/socket": false, "/run/old": false,
		"/run/lock": true, "/run/host/keep": true, "/run/tbx/keep": true, "/run/.containerenv": true, "/run/.toolboxenv": true, "/run/.toolbxenv": true,
		"/run/daemon": true, "/run/named": false, "/run/nested/one": true, "/run/a-link": true, "/run/utmp": true,
		"/var/lib/not": false, "/run/systemd": false, "/run/%b": false, "/run/nologin": false, "/run/hidden": false, "/etc/passwd": true,
	} {
		if _, err := os.Lstat(root + p); (err == nil) != want {
			t.Errorf("%s: there is %t, want %t", p, err == nil, want)
		}
	}
	if fi, err := os.Stat(root + "/run/daemon"); err != nil || fi.Mode() != os.ModeDir|os.ModeSetgid|0o750 {
		t.Errorf("/run/daemon: %v, %v", fi.Mode(), err)
	}
	if got := read(t, root+"/run/utmp"); got != "text" {
		t.Errorf("/run/utmp: %q", got)
	}

	// The same start again: what runs keeps its files.
	os.WriteFile(root+"/run/daemon/pid", nil, 0o644)
	set(t, root, cfg)
	if _, err := os.Stat(root + "/run/daemon/pid"); err != nil {
		t.Error(err)
	}
	// Started by somebody else a while ago: what was made since stays, what is older does not.
	cfg.Started = before.UnixNano()
	set(t, root, cfg)
	if _, err := os.Stat(root + "/run/daemon/pid"); err != nil {
		t.Error(err)
	}
	cfg.Started = 0 // not known
	set(t, root, cfg)
	if _, err := os.Stat(root + "/run/daemon/pid"); err != nil {
		t.Error(err)
	}
}

// TestD34_InTheWay: links to the host are put right where what is in their place is
// nobody's, and not where a daemon of the toolbox's listens.
func TestD34_InTheWay(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Links = true, []string{"/run/s/dead", "/run/s/alive", "/run/s/empty", "/run/s/full", "/run/s/file", "/run/s/link"}
	files := map[string]string{"/run/s/empty/": "", "/run/s/full/x": "", "/run/s/file": "", "/run/s/link": "-> /elsewhere"}
	for _, l := range cfg.Links {
		files[HostView+l] = ""
	}
	root := tree(t, files)
	t.Chdir(root + "/run/s") // the paths of sockets are short
	for _, name := range []string{"dead", "alive"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if name == "dead" {
			l.Close()
		} else {
			defer l.Close()
		}
	}
	short, err := os.MkdirTemp("", "d34")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	if err := os.Symlink(root, short+"/r"); err != nil {
		t.Fatal(err)
	}
	set(t, short+"/r", cfg)
	for name, want := range map[string]bool{"dead": true, "alive": false, "empty": true, "full": false, "file": false, "link": true} {
		got, _ := os.Readlink(root + "/run/s/" + name)
		if (got == HostView+"/run/s/"+name) != want {
			t.Errorf("%s points to %q, want a link to the host: %t", name, got, want)
		}
	}
}

// TestD35_AbsoluteLink: the host's file is followed when the host replaces an absolute
// link, also one that leads nowhere at the start.
func TestD35_AbsoluteLink(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Follow, cfg.Links = true, []string{"resolv.conf", "hosts"}, []string{"/run/systemd/resolve"}
	root := tree(t, map[string]string{
		HostView + "/etc/resolv.conf": "-> /run/nowhere/resolv.conf", HostView + "/etc/hosts": "-> /run/systemd/resolve/hosts",
		HostView + "/run/systemd/resolve/hosts": "127.0.0.1 desk",
	})
	for range 2 {
		set(t, root, cfg)
		for p, want := range map[string]string{
			"/etc/resolv.conf": HostView + "/etc/resolv.conf", "/run/nowhere/resolv.conf": HostView + "/run/nowhere/resolv.conf",
			"/run/systemd/resolve": HostView + "/run/systemd/resolve",
		} {
			if got, _ := os.Readlink(root + p); got != want {
				t.Errorf("%s points to %q, want %q", p, got, want)
			}
		}
	}
	// A host without systemd-resolved: the package inside writes a link to its files.
	root = tree(t, map[string]string{HostView + "/etc/resolv.conf": "nameserver 192.0.2.1"})
	set(t, root, cfg)
	for _, name := range []string{"stub-resolv.conf", "resolv.conf"} {
		if got, _ := os.Readlink(root + "/run/systemd/resolve/" + name); got != HostView+"/etc/resolv.conf" {
			t.Errorf("%s points to %q", name, got)
		}
	}
}

// TestD38_ShellSetInside: a login shell that was set inside stays, and one that is gone does not.
func TestD38_ShellSetInside(t *testing.T) {
	root := tree(t, map[string]string{"/bin/bash": "", "/bin/dash": "", "/bin/zsh": ""})
	for _, sh := range []string{"bash", "dash"} {
		os.Chmod(root+"/bin/"+sh, 0o755)
	}
	shell := func() string {
		t.Helper()
		events := set(t, root, jane())
		_, after, _ := strings.Cut(read(t, root+"/etc/passwd"), "jane:")
		line, _, _ := strings.Cut(after, "\n")
		if got := events[len(events)-1].Ready.Shell; !strings.HasSuffix(line, ":"+got) {
			t.Errorf("the shell is %s, and in passwd %s", got, line)
		}
		return filepath.Base(line)
	}
	chsh := func(to string) {
		t.Helper()
		text := read(t, root+"/etc/passwd")
		i := strings.LastIndex(text, ":")
		if err := os.WriteFile(root+"/etc/passwd", []byte(text[:i+1]+to+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := shell(); got != "bash" {
		t.Errorf("first %s", got)
	}
	chsh("/bin/dash")
	for range 2 {
		if got := shell(); got != "dash" {
			t.Errorf("set inside: %s", got)
		}
	}
	chsh("/bin/removed")
	if got := shell(); got != "bash" {
		t.Errorf("one that is not there: %s", got)
	}
	os.Chmod(root+"/bin/zsh", 0o755) // what the host's user has is installed: it was not set inside
	if got := shell(); got != "zsh" {
		t.Errorf("the host's: %s", got)
	}
}

// TestD39_WhoseAccount: programs that ask for a password are called by sudo, and told
// whose account is meant.
func TestD39_WhoseAccount(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, "-s /bin/fish": false, "--shell /bin/fish": false, "-s /bin/fish bob": true, "bob": true, "-l": false, "--": false, "-- bob": true, "-x 9 -n 1": false, "--shell=/bin/sh": false,
	} {
		if got := hasOperand(strings.Fields(args)); got != want {
			t.Errorf("%q names an account: %t", args, got)
		}
	}
}

// TestD40_DanglingLinks: directories of an image-based system's image are links to what
// such a system makes at boot.
func TestD40_DanglingLinks(t *testing.T) {
	root := tree(t, map[string]string{
		"/root": "-> var/roothome", "/usr/local": "-> ../var/usrlocal", "/media": "-> run/media", "/tmp": "-> var/tmp", "/loop": "-> loop2", "/loop2": "-> loop", "/var/": "",
	})
	cfg := jane()
	cfg.HostExec = true
	set(t, root, cfg)
	for _, dir := range []string{"/var/roothome", "/var/usrlocal/bin", "/var/tmp"} {
		if fi, err := os.Lstat(root + dir); err != nil || !fi.IsDir() {
			t.Errorf("%s: %v, %v", dir, fi, err)
		}
	}
	if fi, err := os.Stat(root + "/tmp"); err != nil || fi.Mode().Perm() != 0o777 || fi.Mode()&os.ModeSticky == 0 {
		t.Errorf("/tmp: %v, %v", fi, err)
	}
	if got, _ := os.Readlink(root + "/var/usrlocal/bin/tbx"); got == "" {
		t.Error("there is no tbx for root")
	}
	b := &box{root: root}
	if err := b.mkdir("/loop/x"); err == nil {
		t.Error("a directory was made in a loop of links")
	}
	if err := b.mkdir("/media/disk"); err != nil {
		t.Error(err)
	}
}

// TestD44_Openers: the host's xdg-open comes before a package's, unless the owner says otherwise.
func TestD44_Openers(t *testing.T) {
	const link, shim = "/usr/local/bin/xdg-open", BoxDir + "/shims/xdg-open"
	cfg := jane()
	cfg.HostExec = true
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"first start", nil, shim},
		{"a package has one", map[string]string{"/usr/bin/xdg-open": "", shim: ""}, shim},
		{"the owner has one", map[string]string{link: "-> /usr/bin/xdg-open", shim: ""}, "/usr/bin/xdg-open"},
		{"the shim was removed", map[string]string{link: "-> " + shim, BoxDir + "/shims/tbx": ""}, ""},
	} {
		root := tree(t, c.files)
		for range 2 {
			set(t, root, cfg)
			if got, _ := os.Readlink(root + link); got != c.want {
				t.Errorf("%s: it points to %q, want %q", c.name, got, c.want)
			}
		}
	}
}
