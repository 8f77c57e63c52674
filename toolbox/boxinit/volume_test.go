package boxinit

import (
	"os"
	"strings"
	"testing"
)

// TestD91_OwnersVolumes: what the owner has mounted is as the owner made it, also where
// tbx puts something of its own in a toolbox, and nothing is said of it.
func TestD91_OwnersVolumes(t *testing.T) {
	cfg := jane()
	cfg.HostFiles, cfg.Follow, cfg.Copy = true, []string{"resolv.conf", "hosts", "localtime"}, []string{"machine-id"}
	cfg.Zone, cfg.ZoneAt, cfg.Hostname = "Asia/Tokyo", true, "somewhere"
	cfg.Volumes = []string{
		"/etc/passwd", "/etc/shadow", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc/localtime",
		"/etc/machine-id", "/etc/timezone", "/etc/sudoers.d", "/usr/local", "/var/run/dbus",
	}
	files := map[string]string{
		"/etc/sudoers.d/": "", "/usr/local/bin/": "", "/run/dbus/": "", "/var/run": "-> ../run", "/usr/bin/su": "x",
		"/etc/group": "root:x:0:\n",
	}
	for _, v := range cfg.Volumes[:8] {
		files[v] = "the owner's"
		files[HostView+v] = "the host's"
	}
	cfg.Links = []string{"/run/dbus/system_bus_socket"}
	files[HostView+"/run/dbus/system_bus_socket"] = "the host's"
	root := tree(t, files)
	set(t, root, cfg) // which wants no warning
	for _, v := range cfg.Volumes[:8] {
		if fi, err := os.Lstat(root + v); err != nil || !fi.Mode().IsRegular() || read(t, root+v) != "the owner's" {
			t.Errorf("%s was changed: %v", v, err)
		}
	}
	for _, dir := range []string{"/etc/sudoers.d", "/usr/local/bin", "/run/dbus"} {
		if left, err := os.ReadDir(root + dir); err != nil || len(left) > 0 {
			t.Errorf("in %s there is %v, %v", dir, left, err)
		}
	}
	if !strings.Contains(read(t, root+"/etc/group"), ":1001:") {
		t.Error("what is no volume was left out")
	}
}
