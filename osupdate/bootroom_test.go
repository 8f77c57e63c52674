package osupdate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// H105: a staged system whose kernel is larger than the room in /boot. The files are sparse.
func TestH105_NoRoomAtShutdown(t *testing.T) {
	root := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		t.Fatal(err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	sum := strings.Repeat("a", 64)
	file := func(size int64, path ...string) {
		t.Helper()
		name := filepath.Join(append([]string{root}, path...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, size); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "boot"), 0o755); err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join("ostree/deploy/os/deploy", sum+".0", "usr/lib/modules/6.12")
	h := &Host{cfg: Config{Root: root}, det: Detection{Kind: OSTree}}
	s := &State{Deployments: []Deployment{{ID: "os-" + sum + ".0", Stateroot: "os", Checksum: sum, Version: "44.2", Staged: true, Next: true}}}
	warns := func(want bool, when string) {
		t.Helper()
		got := h.noRoomAtShutdown(s)
		if len(got) > 0 != want || want && !strings.Contains(got[0], "44.2") {
			t.Errorf("%s: %q", when, got)
		}
	}
	warns(false, "nothing is known of its kernel")
	file(1<<20, modules, "vmlinuz")
	warns(false, "it fits")
	file(free+1<<30, modules, "initramfs.img")
	warns(true, "it does not fit")
	file(free+1<<30, "boot/ostree/os-0123/initramfs-6.12.img")
	warns(false, "/boot has it already")
	file(free+1<<29, "boot/ostree/os-0123/initramfs-6.12.img")
	warns(true, "/boot has another one of that version")
	s.Deployments[0].Staged = false
	warns(false, "it is written already")
}
