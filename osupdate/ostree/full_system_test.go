//go:build system

package ostree_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// TestDiskFull lets the real ostree run out of space: on /boot, whose update needs
// another kernel, and on the file system of the repository. The test runs itself
// in a mount namespace of its own, where a small tmpfs is the disk.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv("TBX_TEST_FULL"); dir != "" {
		upgradeFull(t, dir)
		return
	}
	for name, mount := range map[string]string{
		// What is there is copied into the tmpfs, which then has no room for more.
		"boot":    "cp -a $D/sysroot/boot $D/old && mount -t tmpfs -o size=200k none $D/sysroot/boot && cp -a $D/old/. $D/sysroot/boot/",
		"sysroot": "cp -a $D/sysroot $D/old && mount -t tmpfs -o size=1500k none $D/sysroot && cp -a $D/old/. $D/sysroot/",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.mkdir("tree/usr/lib/modules/6.1.0")
			if err := os.RemoveAll(l.dir + "/tree/usr/lib/modules/5.10.0"); err != nil {
				t.Fatal(err)
			}
			l.write("tree/usr/lib/modules/6.1.0/vmlinuz", "a kernel"+strings.Repeat("\x01k", 1<<20))
			l.write("tree/usr/lib/modules/6.1.0/initramfs.img", "an initramfs")
			l.publish(stable, "42.3")
			cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", mount+"; exec unshare --user --map-user=$U --map-group=$G \"$T\" -test.run='^TestDiskFull$' -test.v")
			cmd.Env = append(os.Environ(), "U="+strconv.Itoa(os.Getuid()), "G="+strconv.Itoa(os.Getgid()), "D="+l.dir, "T="+os.Args[0], "TBX_TEST_FULL="+l.dir)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// upgradeFull upgrades the lab in dir and expects that there is no space.
func upgradeFull(t *testing.T, dir string) {
	l := openLab(t, dir)
	before := l.boots()
	for range 2 { // the second time is not worse
		_, err := l.host().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
		if !errors.Is(err, osupdate.ErrSpace) || len(fail.Hints(err)) == 0 {
			t.Fatalf("%v\n%s", err, said(err))
		}
		t.Log(err, fail.Hints(err))
		if l.boots() != before {
			t.Errorf("what boots was changed:\n%s", l.boots())
		}
		l.bootsWhole(map[string]bool{"hello 1": true})
	}
	if s := l.state(); len(s.Deployments) != 1 || s.Next().Version != "42.1" {
		t.Errorf("%+v", s)
	}
}
