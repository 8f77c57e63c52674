//go:build updater

package transactional_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/transactional"
)

// snapperHost is a root on btrfs, in a file, whose snapshots the real snapper makes,
// lists and boots. tukit and transactional-update are scripts: they call snapper as the
// recorded ones of 6.1.3 do, and one file stands for all packages.
type snapperHost struct {
	t                *testing.T
	dir, root, tools string
}

// snapperFirst makes the file system in $D, mounts its first snapshot at $D/root, with
// this machine's /usr for the programs, and has snapper keep it. $RO is true or false.
const snapperFirst = `set -eu
truncate -s 200M "$D/disk"; mkfs.btrfs -q "$D/disk"; mkdir "$D/top" "$D/root"
mount -o loop "$D/disk" "$D/top"; cd "$D/top"
btrfs -q subvolume create @; btrfs -q subvolume create @/.snapshots; mkdir @/.snapshots/1
btrfs -q subvolume create @/.snapshots/1/snapshot
cat >@/.snapshots/1/info.xml <<END
<?xml version="1.0"?>
<snapshot><type>single</type><num>1</num><date>2026-11-30 10:00:00</date><description>first root filesystem</description></snapshot>
END
cd @/.snapshots/1/snapshot
mkdir -p .snapshots usr proc dev run tmp var/log root etc/snapper/configs etc/default
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
printf 'SUBVOLUME="/"\nFSTYPE="btrfs"\n' >etc/snapper/configs/root
echo 'SNAPPER_CONFIGS="root"' >etc/default/snapper
echo 1 >release
btrfs property set -ts . ro "$RO"
btrfs subvolume set-default .; cd /; umount "$D/top"
`

// snapperBoot mounts the default snapshot, as a kernel does that is told no other one.
const snapperBoot = `set -eu
! mountpoint -q "$D/root" || umount -R -l "$D/root"
mount -o loop "$D/disk" "$D/root"
mount -o loop,subvol=@/.snapshots "$D/disk" "$D/root/.snapshots"
mount --bind /usr "$D/root/usr"
mount -t proc proc "$D/root/proc"; mount --bind /dev "$D/root/dev"
for dir in run tmp var/log; do mount -t tmpfs none "$D/root/$dir"; done
`

// What the scripts begin with.
const snapperCall = `#!/bin/sh
set -eu
D=%s
snapper() { chroot "$D/root" /usr/bin/snapper --no-dbus "$@" || { echo "ERROR: ` + "`snapper --no-dbus $*`" + ` returned with error code $?." >&2; exit 1; }; }
number() { snapper --csvout list --columns number,"$1" | sed -n 's/,yes$//p'; }
`

const snapperTukit = `[ "$*" = '-q -f number,default,active,date,description snapshots' ] || { echo "tukit: not expected: $*" >&2; exit 97; }
list=$(snapper --csvout list --columns number,default,active,date,description)
printf '%s\n' "$list" | sed '1d; s/,/\t/g'
`

const snapperUpdate = `base=$(number active)
case "$*" in
'--non-interactive rollback '* | 'rollback '*) snapper rollback "${*##* }" >/dev/null; exit ;;
'--non-interactive dup') ;;
'--non-interactive --continue dup') base=$(number default) ;;
*) echo "transactional-update: not expected: $*" >&2; exit 97 ;;
esac
n=$(snapper create --from "$base" --read-write --print-number --description "Snapshot Update of #$base" --userdata transactional-update-in-progress=yes)
new=$D/root/.snapshots/$n/snapshot
if cmp -s "$D/offered" "$new/release"; then echo 'zypper: nothing to update'; snapper delete "$n"; exit 0; fi
cp "$D/offered" "$new/release"
snapper modify --userdata transactional-update-in-progress= "$n"
btrfs property set -ts "$new" ro "$(btrfs property get -ts "$D/root" ro | cut -d= -f2)"
snapper modify --default "$n"
`

const snapperZypper = `if cmp -s "$D/offered" "$D/root/release"; then update=; else
update="<update kind=\"package\" name=\"release\" edition=\"$(cat "$D/offered")\" edition-old=\"$(cat "$D/root/release")\"/>"; fi
echo "<?xml version='1.0'?><stream><update-status version=\"0.6\"><update-list>$update</update-list></update-status></stream>"
`

func newSnapperHost(t *testing.T, readOnly bool) *snapperHost {
	t.Helper()
	dir := t.TempDir()
	h := &snapperHost{t, dir, filepath.Join(dir, "root"), filepath.Join(dir, "tools")}
	if err := os.Mkdir(h.tools, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"tukit": snapperTukit, "transactional-update": snapperUpdate, "zypper": snapperZypper} {
		if err := os.WriteFile(filepath.Join(h.tools, name), []byte(fmt.Sprintf(snapperCall, dir)+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { h.sh(`umount -R -l "$D/root"`) })
	h.sh(snapperFirst, fmt.Sprintf("RO=%t", readOnly))
	h.boot()
	h.offer("2")
	return h
}

func (h *snapperHost) sh(script string, env ...string) string {
	h.t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), append(env, "D="+h.dir, "LC_ALL=C.UTF-8")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *snapperHost) boot() { h.t.Helper(); h.sh(snapperBoot) }

// offer has zypper's repositories hold that release.
func (h *snapperHost) offer(release string) {
	h.t.Helper()
	h.sh(`echo "$R" >"$D/offered"`, "R="+release)
}

func (h *snapperHost) config() osupdate.Config {
	cfg := osupdatetest.NewConfig(h.root, h.t.TempDir(), h.tools)
	cfg.Sysroot = "real"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return transactional.New(c.Tools, h.root)
	}
	return cfg
}

// list is what snapper says of its snapshots, and btrfs of what boots.
func (h *snapperHost) list() string {
	h.t.Helper()
	return h.sh(`chroot "$D/root" snapper --no-dbus --csvout list; btrfs subvolume get-default "$D/root" | sed 's/ gen [0-9]*//'; cat "$D"/root/.snapshots/*/snapshot/release`)
}

func (h *snapperHost) runs(release string) {
	h.t.Helper()
	if got := h.sh(`cat "$D/root/release"`); got != release {
		h.t.Errorf("release %s runs, not %s\n%s", got, release, h.list())
	}
}

func roots(t *testing.T, test func(t *testing.T, readOnly bool)) {
	for _, readOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("read-only root %t", readOnly), func(t *testing.T) { test(t, readOnly) })
	}
}

// TestSnapperSuite is the shared suite with the real snapper.
func TestSnapperSuite(t *testing.T) {
	roots(t, func(t *testing.T, readOnly bool) {
		osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
			h := newSnapperHost(t, readOnly)
			return &osupdatetest.Fixture{
				Config: h.config(), Snapshot: h.list, Reboot: h.boot, Reader: "tukit", Prose: true, Mutator: "transactional-update", Upgrades: "*dup",
			}
		})
	})
}

// TestSnapperLife goes forward and back over real boots: what status says boots, boots;
// a rollback never goes forward, and twice is once.
func TestSnapperLife(t *testing.T) {
	roots(t, func(t *testing.T, readOnly bool) {
		s := newSnapperHost(t, readOnly)
		h := open(t, s.config())
		do := func(r osupdate.Request, changes bool) *osupdate.Result {
			t.Helper()
			before := s.list()
			res, err := h.Do(t.Context(), r, false)
			if err != nil || (res.Unchanged == "") != changes || (s.list() != before) != changes {
				t.Fatalf("%s: %+v, %v\n%s\nwas\n%s", r.Verb, res, err, s.list(), before)
			}
			return res
		}
		if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Rollback}, false); !errors.Is(err, osupdate.ErrNoRollback) {
			t.Errorf("a rollback from the first snapshot: %v", err)
		}
		do(osupdate.Request{Verb: osupdate.Upgrade}, true)
		s.runs("1")
		s.offer("3")
		do(osupdate.Request{Verb: osupdate.Upgrade}, true) // on top of what waits
		do(osupdate.Request{Verb: osupdate.Upgrade}, false)
		s.boot()
		s.runs("3")
		if res := do(osupdate.Request{Verb: osupdate.Rollback}, true); res.After.Checksum == res.Before.Checksum {
			t.Errorf("%+v", res.After)
		}
		do(osupdate.Request{Verb: osupdate.Rollback}, false)
		st, err := h.Status(t.Context())
		if err != nil || st.State.Boot.State != osupdate.BootRollback {
			t.Errorf("%+v, %v", st, err)
		}
		next := s.sh(`cat "$D/root/.snapshots/` + st.State.Next().Version + `/snapshot/release"`)
		s.boot()
		s.runs(next)
		if next == "3" {
			t.Error("the rollback went nowhere")
		}
		do(osupdate.Request{Verb: osupdate.Upgrade}, true)
		do(osupdate.Request{Verb: osupdate.Cancel}, true)
		do(osupdate.Request{Verb: osupdate.Cancel}, false)
		s.boot()
		s.runs(next)
		if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Rollback, Target: "99"}, false); !errors.Is(err, osupdate.ErrNotFound) {
			t.Errorf("a snapshot that is not there: %v", err)
		}
	})
}
