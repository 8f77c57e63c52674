//go:build updater

package ostree_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// prepareRoot is what a tree and an initramfs have that want composefs.
const prepareRoot = "[composefs]\nenabled = yes\n"

func composefs() map[string]string {
	return map[string]string{"usr/lib/ostree/prepare-root.conf": prepareRoot}
}

// prepareScript boots as an initramfs does: the real ostree-prepare-root makes the root of the disk's. $D is the lab,
// $ENTRY the entry of the boot loader, $CONF the initramfs's prepare-root.conf. /usr is this machine's, for the programs.
const prepareScript = `set -eu
options=$(sed -n 's/^options //p' "$ENTRY")
i=$D/initramfs; mkdir -p "$i"; mount -t tmpfs initramfs "$i"
mkdir -p "$i/usr" "$i/proc" "$i/run" "$i/dev" "$i/sysroot" "$i/etc/ostree"
for l in bin sbin lib lib64; do ln -s usr/$l "$i/$l"; done
cat "$D"/tree/usr/lib/ostree/prepare-root.conf >"$i/etc/ostree/prepare-root.conf" 2>/dev/null || true
mount --bind /usr "$i/usr"
mount -t proc proc "$i/proc"; mount --rbind /dev "$i/dev"; mount -t tmpfs run "$i/run"
mount --bind "$D/sysroot" "$i/sysroot"; mount --bind "$D/sysroot/boot" "$i/sysroot/boot"
echo "$options" >"$i/run/cmdline"; mount --bind "$i/run/cmdline" "$i/proc/cmdline"
chroot "$i" /usr/lib/ostree/ostree-prepare-root /sysroot >&2
root=$i/sysroot
mount --bind /usr "$root/usr"; mount -o remount,bind,ro "$root/usr"
mountpoint -q "$root/boot" || mount --bind "$D/sysroot/boot" "$root/boot"
mountpoint -q "$root/var" || mount --bind "$D/sysroot/ostree/deploy/testos/var" "$root/var"
mount --move "$i/run" "$root/run"
# Newer ones have systemd start a unit that works at the shutdown; no init runs here, and the test does what it would.
printf '#!/bin/sh\nexit 0\n' >"$root/run/systemctl"; chmod 755 "$root/run/systemctl"
mount --bind "$root/run/systemctl" "$root/usr/bin/systemctl"
mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; mount -t tmpfs tmp "$root/tmp"
mkdir -p "$root$D"; mount --bind "$D" "$root$D"
mount --bind "$root/run/cmdline" "$root/proc/cmdline"
cat /proc/sys/kernel/random/uuid >"$root/run/boot"; mount --bind "$root/run/boot" "$root/proc/sys/kernel/random/boot_id"
exec chroot "$root" /usr/bin/sh -c 'echo up; exec cat >/dev/null'
`

// TestRealSuite is the shared suite with this release's ostree, on deployments of files and of composefs.
func TestRealSuite(t *testing.T) {
	for name, files := range map[string]map[string]string{"files": nil, "composefs": composefs()} {
		t.Run(name, func(t *testing.T) {
			osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
				l := newLabWith(t, files)
				if files != nil {
					l.isComposefs()
				}
				return &osupdatetest.Fixture{Config: l.cfg, Snapshot: l.snapshot, Reader: "ostree", Prose: true, Mutator: "ostree", Upgrades: "'admin upgrade'*"}
			})
		})
	}
}

// isComposefs wants each deployment to have its file system's image.
func (l *lab) isComposefs() {
	l.t.Helper()
	roots, err := filepath.Glob(l.sysroot + "/ostree/deploy/testos/deploy/*.0")
	if err != nil || len(roots) == 0 {
		l.t.Fatalf("no deployment: %v", err)
	}
	for _, root := range roots {
		if _, err := os.Stat(root + "/.ostree.cfs"); err != nil {
			l.t.Fatal(err)
		}
	}
}

// TestRealBoot goes through life on a root that the real ostree-prepare-root made, of files and of composefs.
func TestRealBoot(t *testing.T) {
	for name, files := range map[string]map[string]string{"files": nil, "composefs": composefs()} {
		t.Run(name, func(t *testing.T) {
			m := newMachineWith(t, prepareScript, files)
			m.boot()
			mount, err := m.inside("findmnt", "-no", "FSTYPE,SOURCE", "/").Output()
			if err != nil || strings.Contains(string(mount), "composefs") != (files != nil) {
				t.Fatalf("the root is %s, %v", mount, err)
			}
			m.runs("42.1", "42.1")
			m.says(0, "status --verbose", "/run/ostree-booted: booted by OSTree")
			m.says(0, "check", "Update 42.2")
			before := m.boots()
			m.says(0, "upgrade", "42.2 boots next, after 42.1")
			if st := m.runs("42.1", "42.2"); !st.State.Next().Staged || m.boots() != before {
				t.Fatalf("not staged: %+v", st.State.Next())
			}
			m.says(77, "upgrade --check", "Unchanged")
			m.off()
			m.boot()
			if st := m.runs("42.1", "42.1"); st.Unbooted == nil {
				t.Error("nothing says that it did not boot")
			}
			m.tbx(0, "upgrade")
			m.etcFile("app.conf", "mine\n")
			m.restart()
			m.runs("42.2", "42.2")
			m.says(0, "doctor", "2 systems")
			m.says(0, "etc-diff", "M app.conf")
			m.says(0, "kargs --append quiet")
			m.says(77, "kargs --check --append quiet")
			m.restart()
			if st := m.status(); len(st.State.Booted().Kargs) != 2 {
				t.Errorf("kernel arguments %q", st.State.Booted().Kargs)
			}
			m.says(0, "pin booted")
			m.says(0, "rollback 42.1", "42.1 boots next")
			m.says(0, "rollback 42.1", "Unchanged")
			m.restart()
			m.runs("42.1", "42.1")
			m.publish(stable, "42.3")
			m.tbx(0, "upgrade")
			m.says(0, "cancel", "42.1 boots next")
			m.says(77, "cancel --check", "Unchanged")
			m.says(0, "overlay")
			m.says(0, "overlay", "Unchanged")
		})
	}
}

// TestRealEtcConflicts: H60 with this release's ostree, on deployments of files and of composefs.
func TestRealEtcConflicts(t *testing.T) {
	for kind, files := range map[string]map[string]string{"files": nil, "composefs": composefs()} {
		for name, c := range etcCases() {
			t.Run(kind+"/"+name, func(t *testing.T) { newMachineWith(t, prepareScript, files).meets(c) })
		}
	}
}
