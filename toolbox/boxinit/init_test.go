package boxinit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a root file system of these files; "-> x" makes a link, and a name
// that ends with a slash a directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := root + name
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(text, "-> ")
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(full, 0o755)
		case link:
			err = os.Symlink(target, full)
		default:
			err = os.WriteFile(full, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func jane() Config {
	return Config{
		Name:     "web",
		User:     User{Name: "jane", Gecos: "Jane Doe", Home: "/home/jane", UID: 1000, GID: 1001, Group: "staff"},
		Shells:   []string{"/bin/zsh", "/bin/bash", "/bin/sh"},
		Hostname: "desk",
	}
}

// set runs the initialiser on root and returns its events.
func set(t *testing.T, root string, cfg Config) []Event {
	t.Helper()
	var out bytes.Buffer
	b := &box{cfg: cfg, root: root, out: json.NewEncoder(&out)}
	if err := b.run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var events []Event
	for lines := json.NewDecoder(&out); lines.More(); {
		var ev Event
		if err := lines.Decode(&ev); err != nil {
			t.Fatal(err)
		}
		if ev.Warning != "" {
			t.Errorf("warning at %s: %s", ev.Step, ev.Warning)
		}
		events = append(events, ev)
	}
	if events[len(events)-1].Ready == nil {
		t.Errorf("the last event is %+v", events[len(events)-1])
	}
	return events
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestUserTables edits the tables of an image, twice: the second run must find
// nothing to do.
func TestUserTables(t *testing.T) {
	for _, c := range []struct {
		name                                    string
		passwd, group, shadow                   string
		wantPasswd, wantGroup, wantShadow, none string
	}{
		{
			name:       "a distribution's",
			passwd:     "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/sbin/nologin\n",
			group:      "root:x:0:\nsudo:x:27:\nusers:x:100:\n",
			shadow:     "root:*:19000:0:99999:7:::\n",
			wantPasswd: "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/sbin/nologin\njane:x:1000:1001:Jane Doe:/home/jane:/bin/sh\n",
			wantGroup:  "root:x:0:\nsudo:x:27:jane\nusers:x:100:\nstaff:x:1001:\n",
			wantShadow: "root:*:19000:0:99999:7:::\njane:*:19000:0:99999:7:::\n",
		},
		{
			name:       "none at all",
			wantPasswd: "root:x:0:0:root:/root:/bin/sh\njane:x:1000:1001:Jane Doe:/home/jane:/bin/sh\n",
			wantGroup:  "root:x:0:\nstaff:x:1001:\n",
		},
		{
			name:       "somebody else has the name, somebody else the number",
			passwd:     "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\nx:x:5:5::/:/bin/sh\njane:x:7:7::/srv:/bin/false\n",
			group:      "root:x:0:\nstaff:x:50:\nwheel:x:10:bob\nsudo:x:27:jane,bob\n",
			wantPasswd: "root:x:0:0::/root:/bin/sh\njane:x:1000:1001:Jane Doe:/home/jane:/bin/sh\nx:x:5:5::/:/bin/sh\n",
			wantGroup:  "root:x:0:\nstaff:x:50:\nwheel:x:10:bob,jane\nsudo:x:27:jane,bob\nhost-1001:x:1001:\n",
		},
		{
			name:       "no newline at the end, NIS lines, a password of the user's",
			passwd:     "root:x:0:0::/root:/bin/sh\n+::::::",
			group:      "root:x:0:\nmine:x:1001:",
			shadow:     "jane:$6$secret:19000:0:99999:7:::\n",
			wantPasswd: "root:x:0:0::/root:/bin/sh\n+::::::\njane:x:1000:1001:Jane Doe:/home/jane:/bin/sh\n",
			wantGroup:  "root:x:0:\nmine:x:1001:\n",
			wantShadow: "jane:$6$secret:19000:0:99999:7:::\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"/bin/sh": ""}
			for name, text := range map[string]string{"/etc/passwd": c.passwd, "/etc/group": c.group, "/etc/shadow": c.shadow} {
				if text != "" {
					files[name] = text
				}
			}
			root := tree(t, files)
			if err := os.Chmod(root+"/bin/sh", 0o755); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				set(t, root, jane())
				for name, want := range map[string]string{"/etc/passwd": c.wantPasswd, "/etc/group": c.wantGroup, "/etc/shadow": c.wantShadow} {
					if want == "" {
						if _, err := os.Stat(root + name); err == nil {
							t.Errorf("%s was made", name)
						}
					} else if got := read(t, root+name); got != want && got != want+"\n" {
						t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
					}
				}
			}
			if left, _ := filepath.Glob(root + "/etc/*.tbx-new"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestLoginShell takes the first that is a program; a directory or a dangling
// link is none.
func TestLoginShell(t *testing.T) {
	root := tree(t, map[string]string{"/bin/zsh/": "", "/bin/bash": "-> /nonexistent", "/bin/busybox": "", "/bin/sh": "-> busybox"})
	os.Chmod(root+"/bin/busybox", 0o755)
	events := set(t, root, jane())
	if got := events[len(events)-1].Ready.Shell; got != "/bin/sh" {
		t.Errorf("shell %q", got)
	}
	events = set(t, tree(t, nil), jane())
	if got := events[len(events)-1].Ready.Shell; got != "" {
		t.Errorf("shell %q in an image without one", got)
	}
}

func TestSudo(t *testing.T) {
	root := tree(t, map[string]string{"/etc/doas.d/": ""})
	cfg := jane()
	cfg.StartDir = "/home/jane/box/shell"
	set(t, root, cfg)
	got := read(t, root+"/etc/sudoers.d/tbx")
	for _, want := range []string{
		"\n#1000 ALL=(ALL:ALL) NOPASSWD: ALL\n", "\nDefaults:#1000 env_keep += \"", " TERMINFO_DIRS ", " no_proxy ", " HTTPS_PROXY ", " ZDOTDIR=/home/jane/box/shell/zsh\"\n",
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\"TERMINFO ", "\" TERMINFO "), want) {
			t.Errorf("sudoers: %q, want %q in it", got, want)
		}
	}
	cfg.StartDir = "/home/jane doe/box/shell" // which cannot stand in that list
	set(t, root, cfg)
	if got := read(t, root+"/etc/sudoers.d/tbx"); strings.Contains(got, "ZDOTDIR") {
		t.Errorf("sudoers: %q", got)
	}
	if fi, err := os.Stat(root + "/etc/sudoers.d/tbx"); err != nil || fi.Mode().Perm() != 0o440 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if got := read(t, root+"/etc/doas.d/tbx.conf"); got != "permit nopass keepenv jane\n" {
		t.Errorf("doas: %q", got)
	}
}

func TestHostname(t *testing.T) {
	for _, c := range []struct {
		name, image, host string // hosts files; host "": no host view
		cfg               func(*Config)
		want              string // content of /etc/hosts
		link              string // where it points
	}{
		{name: "the image has it", image: "127.0.0.1 localhost desk\n", want: "127.0.0.1 localhost desk\n"},
		{name: "nobody has it", want: "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 desk\n", link: StateDir + "/hosts"},
		{name: "the host has it", image: "127.0.0.1 localhost\n", host: "127.0.1.1 DESK.example desk # me\n", want: "127.0.1.1 DESK.example desk # me\n", link: HostView + "/etc/hosts"},
		{name: "only in a comment", host: "127.0.0.1 localhost # desk", want: "127.0.0.1 localhost # desk\n127.0.1.1 desk\n", link: StateDir + "/hosts"},
		{name: "part of a name", host: "127.0.1.1 desktop\n", want: "127.0.1.1 desktop\n127.0.1.1 desk\n", link: StateDir + "/hosts"},
		{name: "a name of its own", host: "127.0.1.1 desk\n", cfg: func(c *Config) { c.Hostname = "box" }, want: "127.0.1.1 desk\n127.0.1.1 box\n", link: StateDir + "/hosts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"/etc/": ""}
			if c.image != "" {
				files["/etc/hosts"] = c.image
			}
			cfg := jane()
			if c.host != "" {
				cfg.HostFiles, cfg.Follow = true, []string{"hosts"}
				files[HostView+"/etc/hosts"] = c.host
			}
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			root := tree(t, files)
			for range 2 {
				set(t, root, cfg)
				link, _ := os.Readlink(root + "/etc/hosts")
				if link != c.link {
					t.Errorf("it points to %q, want %q", link, c.link)
				}
				if got := read(t, root+cmp.Or(link, "/etc/hosts")); got != c.want {
					t.Errorf("hosts: %q, want %q", got, c.want)
				}
			}
		})
	}
}

// TestFollow: what is a link on the host leads to the same file inside.
func TestFollow(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Follow = true, []string{"resolv.conf", "localtime", "absolute", "twice", "missing", "dangling", "zone", "zone-of-the-host"}
	root := tree(t, map[string]string{
		"/etc/resolv.conf":            "the image's",
		HostView + "/etc/resolv.conf": "-> ../run/systemd/resolve/stub-resolv.conf", HostView + "/run/systemd/resolve/stub-resolv.conf": "the host's",
		HostView + "/etc/localtime": "UTC",
		HostView + "/etc/absolute":  "-> /usr/share/x", HostView + "/usr/share/x": "x",
		HostView + "/etc/zone": "-> /usr/share/zoneinfo/Here", "/usr/share/zoneinfo/Here": "both have it", HostView + "/usr/share/zoneinfo/Here": "both have it",
		HostView + "/etc/zone-of-the-host": "-> /usr/share/zoneinfo/There", HostView + "/usr/share/zoneinfo/There": "the host alone",
		HostView + "/etc/twice": "-> /etc/absolute", HostView + "/etc/dangling": "-> /nowhere",
	})
	for range 2 {
		set(t, root, cfg)
		for name, want := range map[string]string{
			"resolv.conf": HostView + "/etc/resolv.conf", "localtime": HostView + "/etc/localtime",
			"absolute": HostView + "/usr/share/x", "twice": HostView + "/usr/share/x", "missing": "", "dangling": HostView + "/etc/dangling",
			"zone": HostView + "/etc/zone", "zone-of-the-host": HostView + "/usr/share/zoneinfo/There",
		} {
			if got, _ := os.Readlink(root + "/etc/" + name); got != want {
				t.Errorf("%s points to %q, want %q", name, got, want)
			}
		}
	}
}

func TestLinks(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Links = true, []string{"/run/dbus/socket", "/run/own", "/run/stale", "/run/none"}
	root := tree(t, map[string]string{
		HostView + "/run/dbus/socket": "", HostView + "/run/own": "", HostView + "/run/stale": "",
		"/run/own": "the image's", "/run/stale": "-> /elsewhere",
	})
	set(t, root, cfg)
	for name, want := range map[string]string{"/run/dbus/socket": HostView + "/run/dbus/socket", "/run/own": "", "/run/stale": HostView + "/run/stale", "/run/none": ""} {
		if got, _ := os.Readlink(root + name); got != want {
			t.Errorf("%s points to %q, want %q", name, got, want)
		}
	}
}

func TestTbxForRoot(t *testing.T) {
	cfg := jane()
	cfg.HostExec = true
	const link = "/usr/local/bin/tbx"
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{nil, BoxDir + "/shims/tbx"},
		{map[string]string{"/usr/bin/tbx": "a package's"}, ""},
		{map[string]string{link: "the user's"}, ""},
		{map[string]string{link: "-> /elsewhere"}, "/elsewhere"},
	} {
		root := tree(t, c.files)
		for range 2 {
			set(t, root, cfg)
			if got, _ := os.Readlink(root + link); got != c.want {
				t.Errorf("with %v it points to %q, want %q", c.files, got, c.want)
			}
		}
	}
	root := tree(t, nil)
	set(t, root, jane())
	if _, err := os.Lstat(root + link); err == nil {
		t.Error("there is one without the bridge")
	}
}

func TestHome(t *testing.T) {
	cfg := jane()
	root := tree(t, nil)
	set(t, root, cfg)
	if fi, err := os.Stat(root + "/home/jane"); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("a home for a toolbox without one: %v, %v", fi, err)
	}
	// The home itself is a link on the host: podman mounted where it leads.
	cfg.User.RealHome = "/data/jane"
	root = tree(t, map[string]string{"/data/jane/file": "x"})
	for range 2 {
		set(t, root, cfg)
		if got, _ := os.Readlink(root + "/home/jane"); got != "/data/jane" {
			t.Errorf("/home/jane points to %q", got)
		}
	}
	// OSTree: /home is a link, and so it is inside, if the image's is empty.
	cfg.HostHome, cfg.User.Home, cfg.User.RealHome = "var/home", "/home/jane", "/var/home/jane"
	root = tree(t, map[string]string{"/home/": "", "/var/home/jane/": ""})
	set(t, root, cfg)
	if got, _ := os.Readlink(root + "/home"); got != "var/home" {
		t.Errorf("/home points to %q", got)
	}
	root = tree(t, map[string]string{"/home/keep/": "", "/var/home/jane/": ""})
	set(t, root, cfg)
	if _, err := os.Stat(root + "/home/keep"); err != nil {
		t.Error("a home of the image's was removed")
	}
}

func TestFiles(t *testing.T) {
	cfg := jane()
	cfg.Files = []File{
		{Path: "/etc/profile.d/tbx.sh", Content: "new\n", Mode: 0o644, Needs: "/etc/profile"},
		{Path: "/etc/fish/x", Content: "x", Mode: 0o644, Needs: "/usr/bin/fish"},
		{Path: "/etc/zsh/zshrc", Content: "hook\n", Needs: "/etc/zsh", Undo: true},
		{Path: "/etc/bashrc", Content: "hook\n", Needs: "/etc/bashrc", Undo: true},
		{Path: "/etc/zsh/tbx-alone", Content: "hook\n", Needs: "/etc/zsh", Undo: true},
		{Path: "/etc/linked", Content: "mine", Mode: 0o600},
	}
	root := tree(t, map[string]string{"/etc/profile": "", "/etc/zsh/zshrc": "theirs\nhook\n", "/etc/zsh/tbx-alone": "hook\n", "/etc/bashrc": "theirs\n", "/etc/victim": "untouched", "/etc/linked": "-> victim"})
	for range 2 {
		set(t, root, cfg)
		for name, want := range map[string]string{"/etc/profile.d/tbx.sh": "new\n", "/etc/zsh/zshrc": "theirs\n", "/etc/bashrc": "theirs\n", "/etc/linked": "mine", "/etc/victim": "untouched"} {
			if got := read(t, root+name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if _, err := os.Stat(root + "/etc/fish"); err == nil {
		t.Error("a file for a program that is not there")
	}
	if _, err := os.Stat(root + "/etc/zsh/tbx-alone"); err == nil {
		t.Error("a file of nothing but tbx's line is still there")
	}
	if fi, err := os.Lstat(root + "/etc/linked"); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

// TestInit speaks the protocol: a Config that is none, and a root that cannot be
// written, are reported as an event with a hint.
func TestInit(t *testing.T) {
	var out bytes.Buffer
	if Init(strings.NewReader("{"), &out) == nil {
		t.Error("half a Config was taken")
	}
	var ev Event
	if err := json.Unmarshal(out.Bytes(), &ev); err != nil || ev.Error == "" || ev.Hint == "" {
		t.Errorf("%+v, %v", ev, err)
	}

	out.Reset()
	root := tree(t, map[string]string{"/run": "a file in the way"})
	b := &box{cfg: jane(), root: root, out: json.NewEncoder(&out)}
	if b.run() == nil {
		t.Error("a root that cannot be written was taken")
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &ev); err != nil || ev.Step != "state" || !strings.Contains(ev.Error, "cannot write inside the toolbox") || ev.Hint == "" {
		t.Errorf("%+v, %v", ev, err)
	}
}

func TestLocaleNames(t *testing.T) {
	for in, want := range map[string]string{"de_DE.UTF-8": "de_DE.utf8", "de_DE@euro": "de_DE@euro", "ca_ES.UTF-8@valencia": "ca_ES.utf8@valencia", "C.UTF-8": "C.utf8", "": ""} {
		if got := normaliseLocale(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
