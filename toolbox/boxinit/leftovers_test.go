package boxinit

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// left is what distrobox leaves in a Debian, and what looks like it and is the user's.
func left() map[string]string {
	return map[string]string{
		"/etc/dpkg/dpkg.cfg.d/00_distrobox": "path-exclude /tmp/*\n", "/etc/apt/apt.conf.d/00_distrobox": "DPkg::Pre-Invoke {x};\n",
		"/etc/distrobox-pre-hook.sh": "x", "/etc/sudoers.d/sudoers": "\"jane\" ALL = (root) NOPASSWD:ALL\n", "/etc/profile.d/distrobox_profile.sh": "x",
		"/etc/passwd.done": "", "/.containersetupdone": "", "/usr/bin/entrypoint": "", "/usr/local/bin/xdg-open": "-> /usr/bin/distrobox-host-exec",
		"/usr/local/bin/mine": "-> /opt/mine", "/usr/bin/distrobox-export": "the user's own copy", "/usr/lib/libnvidia-ml.so.1": "", "/usr/lib/nvidia.conf": "text",
		"/etc/passwd": "root::0:0:root:/root:/bin/sh\njane::1000:1000::/home/jane:/bin/sh\nbob::1001:1001::/:/bin/sh\n", "/etc/shadow": "root::1::::::\njane::1::::::\nbob::1::::::\n",
		"/usr/share/libalpm/scripts/systemd-hook": "#!/bin/sh\nexit 0\n", "/bin/sh": "", "/home/": "",
	}
}

func paths(all []Leftover) []string {
	var out []string
	for _, l := range all {
		if !l.Keep {
			out = append(out, l.Path)
		}
	}
	slices.Sort(out)
	return out
}

// TestAdoptedIsCleared: what distrobox left goes, once, and giving back brings all of it
// back to where it was.
func TestAdoptedIsCleared(t *testing.T) {
	root := tree(t, left())
	dir, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	found := FindLeftovers(dir, "apx", "jane")
	want := []string{
		"/.containersetupdone", "/etc/apt/apt.conf.d/00_distrobox", "/etc/distrobox-pre-hook.sh", "/etc/dpkg/dpkg.cfg.d/00_distrobox", "/etc/passwd.done", "/etc/passwd:jane",
		"/etc/passwd:root", "/etc/profile.d/distrobox_profile.sh", "/etc/shadow:jane", "/etc/shadow:root", "/etc/sudoers.d/sudoers", "/usr/bin/entrypoint", "/usr/lib/libnvidia-ml.so.1",
		"/usr/local/bin/xdg-open",
	}
	if got := paths(found); !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
	if !slices.ContainsFunc(found, func(l Leftover) bool { return l.Keep && strings.HasSuffix(l.Path, "systemd-hook") }) {
		t.Error("nothing is said of the hook that does nothing")
	}
	cfg := jane()
	cfg.Leftovers = "distrobox"
	set(t, root, cfg)
	for _, p := range want {
		if _, err := os.Lstat(root + p); err == nil && !strings.Contains(p, ":") {
			t.Errorf("%s is still there", p)
		}
	}
	read := func(p string) string {
		data, _ := os.ReadFile(root + p)
		return string(data)
	}
	if s := read("/etc/shadow"); s != "root:*:1::::::\njane:*:1::::::\nbob::1::::::\n" {
		t.Errorf("shadow: %q", s)
	}
	if read("/usr/bin/distrobox-export") == "" || read("/usr/lib/nvidia.conf") == "" {
		t.Error("something of the user's is gone")
	}
	// Once: what comes to be there later is the user's.
	if err := os.WriteFile(root+"/etc/sudoers.d/sudoers", []byte("NOPASSWD"), 0o600); err != nil {
		t.Fatal(err)
	}
	set(t, root, cfg)
	if read("/etc/sudoers.d/sudoers") == "" {
		t.Error("it is cleared twice")
	}
	if err := os.Remove(root + "/etc/sudoers.d/sudoers"); err != nil {
		t.Fatal(err)
	}
	b := &box{cfg: cfg, root: root, out: json.NewEncoder(io.Discard)}
	if err := b.restoreLeftovers(); err != nil {
		t.Fatal(err)
	}
	if again := paths(FindLeftovers(dir, "distrobox", "jane")); !slices.Equal(again, want) {
		t.Errorf("after giving back: %q", again)
	}
	if read("/etc/apt/apt.conf.d/00_distrobox") != left()["/etc/apt/apt.conf.d/00_distrobox"] {
		t.Error("a file came back otherwise")
	}
	for _, p := range []string{adoptedDir, "/etc/sudoers.d/tbx"} {
		if _, err := os.Lstat(root + p); err == nil {
			t.Errorf("%s is left", p)
		}
	}
}

// TestE184_LinksLeadNowhere: links in a toolbox in place of directories lead the look for
// what is left, and the clearing, out of it nowhere.
func TestE184_LinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	if err := os.MkdirAll(filepath.Join(outside, "profile.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(outside, "profile.d/distrobox_profile.sh")
	if err := os.WriteFile(victim, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := tree(t, map[string]string{"/etc": "-> " + outside, "/usr/local/": "", "/usr/bin": "-> ../../../../.."})
	dir, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if found := FindLeftovers(dir, "distrobox", "jane"); len(found) > 0 {
		t.Errorf("found %q", paths(found))
	}
	b := &box{cfg: Config{Leftovers: "distrobox", User: User{Name: "jane"}}, root: root, out: json.NewEncoder(io.Discard)}
	b.clearLeftovers()
	if _, err := os.Stat(victim); err != nil {
		t.Error("a file outside is gone")
	}
}
