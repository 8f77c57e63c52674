package boxinit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// warned runs the initialiser on root and returns its warnings, or the error that
// ended it.
func warned(t *testing.T, root string, cfg Config) (warnings, fatal string) {
	t.Helper()
	var out bytes.Buffer
	b := &box{cfg: cfg, root: root, out: json.NewEncoder(&out)}
	if err := b.run(); err != nil {
		return "", err.Error()
	}
	for lines := json.NewDecoder(&out); lines.More(); {
		var ev Event
		if err := lines.Decode(&ev); err != nil {
			t.Fatal(err)
		}
		warnings += ev.Warning + "\n"
	}
	return warnings, ""
}

// S6: tables of an image that are no tables. The initialiser neither waits for
// them nor follows them, says what is wrong, and the toolbox can be used.
func TestS6_TablesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"fifo":      {func(p string) error { return unix.Mkfifo(p, 0o644) }, "is not a regular file"},
		"directory": {func(p string) error { return os.Mkdir(p, 0o755) }, "is not a regular file"},
		"link":      {func(p string) error { return os.Symlink("victim", p) }, "is a symbolic link"},
		"endless":   {func(p string) error { return os.Symlink("/dev/zero", p) }, "is a symbolic link"},
		"1 GiB": {func(p string) error {
			if err := os.WriteFile(p, nil, 0o644); err != nil {
				return err
			}
			return os.Truncate(p, 1<<30)
		}, "is larger than 16 MiB"},
	} {
		for _, table := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hosts", "/etc/profile.d/tbx.sh"} {
			root := tree(t, map[string]string{"/etc/victim": "untouched", "/etc/shadow": "", "/etc/zsh/": "", "/etc/profile.d/victim": "untouched"})
			os.Remove(root + table)
			if err := c.put(root + table); err != nil {
				t.Fatal(err)
			}
			cfg := jane()
			cfg.Files = []File{
				{Path: "/etc/profile.d/tbx.sh", Content: "new\n", Mode: 0o644},
			}
			warnings, fatal := warned(t, root, cfg)
			switch {
			case fatal != "":
				t.Errorf("%s as a %s: %s", table, name, fatal)
			case table == "/etc/profile.d/tbx.sh" && name != "directory": // tbx's own, which it puts in its place
				if got := read(t, root+table); got != "new\n" {
					t.Errorf("%s in place of a %s: %q", table, name, got)
				}
			case table == "/etc/hosts" && name == "link": // as the host's is followed
			case name == "link": // within the image: a file takes its place
				if fi, err := os.Lstat(root + table); err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o022 != 0 || strings.TrimSpace(warnings) != "" {
					t.Errorf("%s as a %s: %v, %v, %q", table, name, fi, err, warnings)
				}
			case table == "/etc/hosts" && name == "endless", table == "/etc/profile.d/tbx.sh":
				if warnings == "\n" {
					t.Errorf("%s as a %s: no warning", table, name)
				}
			case !strings.Contains(warnings, table+" "+c.want):
				t.Errorf("%s as a %s: %q, want %q", table, name, warnings, c.want)
			}
			for _, victim := range []string{"/etc/victim", "/etc/profile.d/victim"} {
				if got := read(t, root+victim); got != "untouched" {
					t.Errorf("%s as a %s: written through: %q", table, name, got)
				}
			}
		}
	}
}

// What stands where the initialiser writes first is no way to another file.
func TestS6_LinksInTheWay(t *testing.T) {
	root := tree(t, map[string]string{
		"/etc/victim": "untouched", "/run/victim": "untouched", StateDir + "/victim": "untouched",
		"/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/etc/passwd.tbx-new": "-> victim", "/etc/hostname": "-> victim", "/etc/hosts.tbx-new": "-> victim",
		Marker: "-> victim", StateDir + "/name": "-> victim", StateDir + "/hosts": "-> victim", StateDir + "/hosts-name": "-> victim",
	})
	warned(t, root, jane())
	for _, victim := range []string{"/etc/victim", "/run/victim", StateDir + "/victim"} {
		if got := read(t, root+victim); got != "untouched" {
			t.Errorf("%s: %q", victim, got)
		}
	}
	if got := read(t, root+"/etc/passwd"); !strings.Contains(got, "jane:x:1000:") {
		t.Errorf("passwd: %q", got)
	}
	if got := read(t, root+StateDir+"/name"); got != "web\n" {
		t.Errorf("name: %q", got)
	}
}

// Another file system than the image's: a toolbox's home or the host's files.
func TestS5_EtcElsewhere(t *testing.T) {
	elsewhere, err := os.MkdirTemp("/dev/shm", "tbx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	for _, dir := range []string{"/etc", "/run", filepath.Dir(StateDir), StateDir} {
		root := tree(t, map[string]string{filepath.Dir(dir) + "/": ""})
		if err := os.Symlink(elsewhere, root+dir); err != nil {
			t.Fatal(err)
		}
		if _, fatal := warned(t, root, jane()); !strings.Contains(fatal, "the image cannot be used for a toolbox: "+dir) {
			t.Errorf("%s elsewhere: %q", dir, fatal)
		}
		if files, err := os.ReadDir(elsewhere); err != nil || len(files) > 0 {
			t.Errorf("%s elsewhere: %v, %v", dir, files, err)
		}
	}
	root := tree(t, map[string]string{"/own-etc/": ""})
	if err := os.Symlink("own-etc", root+"/etc"); err != nil {
		t.Fatal(err)
	}
	if warnings, fatal := warned(t, root, jane()); fatal != "" || strings.TrimSpace(warnings) != "" {
		t.Errorf("/etc elsewhere in the image: %q, %q", warnings, fatal)
	}
}
