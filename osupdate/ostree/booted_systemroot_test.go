//go:build system && systemroot

package ostree_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

// TestBooted walks a running host through updates that are staged and written at
// shutdown, by the commands that an administrator gives.
func TestBooted(t *testing.T) {
	m := newMachine(t)
	m.boot()
	m.runs("42.1", "42.1")
	m.says(0, "status --verbose", "/run/ostree-booted: booted by OSTree", `its origin is the ref "testos:`+stable)
	m.says(0, "check", "Update 42.2")
	m.says(0, "upgrade --dry-run", "--stage", "Needs root", "Needs a reboot")

	// Staged: what a boot loader sees is as before.
	before := m.boots()
	m.says(0, "upgrade", "42.2 boots next, after 42.1", "tbx host reboot")
	if st := m.runs("42.1", "42.2"); !st.State.Next().Staged || st.State.Reboot == "" || m.boots() != before {
		t.Fatalf("not staged: %+v\n%s", st.State.Next(), m.boots())
	}
	m.says(77, "upgrade --check", "Unchanged")
	m.says(0, "check", "42.2 waits for the next boot")
	m.says(16, "pin 0", "42.2 is staged and cannot be pinned yet", "hint: reboot first")

	// A power cut: the old system, and tbx says that the new one did not come.
	m.off()
	m.boot()
	if st := m.runs("42.1", "42.1"); st.Unbooted == nil || st.Unbooted.Intended != "42.2" {
		t.Errorf("unbooted: %+v", st.Unbooted)
	}
	m.says(0, "status", "42.2 should have booted and did not", "tbx host doctor")
	m.says(11, "doctor", "42.2 should have booted and did not", "tbx host upgrade --reboot")

	// A shutdown: the new system, with what was changed in /etc until then.
	m.tbx(0, "upgrade")
	m.etcFile("app.conf", "mine\n")
	m.restart()
	m.runs("42.2", "42.2")
	m.says(0, "doctor", "2 systems")
	m.says(0, "etc-diff", "M app.conf")
	m.says(0, "history", "upgrade", "done", "42.2")

	// Staged and rolled back at once: what is staged goes.
	m.publish(stable, "42.3")
	m.tbx(0, "upgrade")
	m.runs("42.2", "42.3")
	m.says(0, "rollback", "42.1 boots next, after 42.3")
	m.says(0, "rollback", "Unchanged: 42.1 boots next already")
	if st := m.runs("42.2", "42.1"); slices.ContainsFunc(st.State.Deployments, func(d osupdate.Deployment) bool { return d.Staged }) || m.inside("test", "-e", "/run/ostree/staged-deployment").Run() == nil {
		t.Errorf("42.3 is still staged: %+v", st.State.Deployments)
	}
	m.restart()
	m.runs("42.1", "42.1")
	m.says(0, "doctor")

	// Another way round: rolled back, and an update staged over it.
	m.tbx(0, "upgrade")
	m.runs("42.1", "42.3")
	m.says(0, "cancel")
	m.runs("42.1", "42.1")
	m.tbx(0, "upgrade")
	m.restart()
	m.runs("42.3", "42.3")

	// To another branch, and back.
	m.publish(next, "43.1")
	m.says(0, "switch testos:"+next, "43.1 boots next, after 42.3")
	m.restart()
	if st := m.runs("43.1", "43.1"); st.State.Tracked != "testos:"+next {
		t.Errorf("follows %q", st.State.Tracked)
	}
	m.says(0, "etc-diff", "M app.conf")
	m.tbx(0, "pin", "1")
	m.says(0, "rollback", "42.3 boots next, after 43.1")
	m.restart()
	if st := m.runs("42.3", "42.3"); st.State.Tracked != "testos:"+stable {
		t.Errorf("follows %q", st.State.Tracked)
	}
	m.says(0, "doctor")
}

// TestBootedKargs: ostree itself would begin each time with the arguments that run.
func TestBootedKargs(t *testing.T) {
	m := newMachine(t)
	m.boot()
	m.tbx(0, "kargs", "--append", "quiet")
	m.tbx(0, "kargs", "--append", "rd.shell=0")
	m.tbx(0, "kargs", "--append", "nosmt", "--delete", "quiet")
	want := []string{"root=LABEL=rootfs", "rd.shell=0", "nosmt"}
	if st := m.status(); !slices.Equal(st.State.Next().Kargs, want) || len(st.State.Deployments) != 2 {
		t.Errorf("%+v", st.State)
	}
	m.says(77, "kargs --check --append nosmt", "Unchanged")
	m.says(15, "upgrade", "has other kernel arguments than the running system", "hint: reboot first")
	m.restart()
	if st := m.status(); !slices.Equal(st.State.Booted().Kargs, want) {
		t.Errorf("%q", st.State.Booted().Kargs)
	}
	m.tbx(0, "upgrade")
	m.tbx(0, "kargs", "--delete", "nosmt")
	m.restart()
	if st := m.runs("42.2", "42.2"); !slices.Equal(st.State.Booted().Kargs, want[:2]) {
		t.Errorf("%q", st.State.Booted().Kargs)
	}
}

// TestBootedBuild: a tree of the owner's own is staged too, and the same one once
// more is no change.
func TestBootedBuild(t *testing.T) {
	m := newMachine(t)
	m.boot()
	before := m.boots()
	m.write("tree/usr/bin/hello", "mine")
	tree := m.dir + "/tree"
	m.says(0, "build --dry-run "+tree, "--stage")
	m.tbx(0, "build", tree)
	if st := m.status(); !st.State.Next().Staged || st.State.Next().Tracks != "tbx/local" || m.boots() != before {
		t.Fatalf("not staged: %+v", st.State.Next())
	}
	m.says(77, "build --check "+tree, "Unchanged: it is what local.", "boots next already")
	m.restart()
	if st := m.status(); st.State.Booted().Tracks != "tbx/local" {
		t.Errorf("%+v", st.State.Booted())
	}
	m.says(77, "build --check "+tree, "Unchanged: it is what local.")
	m.bootsWhole(map[string]bool{"mine": true})
}

// TestBuildLabels: files of a tree with an SELinux policy get its labels.
func TestBuildLabels(t *testing.T) {
	l := newLab(t)
	l.mkdir("tree/usr/etc/selinux/own/contexts/files")
	l.mkdir("tree/usr/etc/selinux/own/policy")
	l.write("tree/usr/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=own\n")
	l.write("tree/usr/etc/selinux/own/policy/policy.33", "a policy")
	l.write("tree/usr/etc/selinux/own/contexts/files/file_contexts", "/.*\tsystem_u:object_r:any_t:s0\n/usr/bin(/.*)?\tsystem_u:object_r:bin_t:s0\n")
	// ostree has the tree's own semodule(8) make its policy anew, for changes in /etc.
	l.write("semodule.go", "package main\n\nfunc main() {}\n")
	l.run("env", "CGO_ENABLED=0", "go", "build", "-o", l.dir+"/tree/usr/bin/semodule", l.dir+"/semodule.go")
	if _, err := l.host().Build(t.Context(), l.dir+"/tree", false); err != nil {
		t.Fatalf("%v\n%s", err, said(err))
	}
	for file, label := range map[string]string{"/usr/bin/hello": "bin_t", "/usr/lib/os-release": "any_t"} {
		if out := l.repo("ls", "-X", "tbx/local", file); !strings.Contains(out, "system_u:object_r:"+label+":s0") {
			t.Errorf("%s is not %s: %s", file, label, out)
		}
	}
}

// TestFinalisationFails: an update that cannot be written at shutdown. The old
// system boots and all looks well; status and doctor say what happened.
func TestFinalisationFails(t *testing.T) {
	m := newMachine(t)
	if err := os.Remove(m.dir + "/tree/usr/etc/app.conf"); err != nil {
		t.Fatal(err)
	}
	m.mkdir("tree/usr/etc/app.conf")
	m.write("tree/usr/etc/app.conf/part", "x")
	m.publish(stable, "42.3")
	m.boot()
	m.tbx(0, "upgrade")
	m.etcFile("app.conf", "mine\n") // after it was staged
	out, err := m.shutDown()
	if err == nil || !strings.Contains(out, "/etc merge") {
		t.Fatalf("the shutdown went well: %v\n%s", err, out)
	}
	m.boot()
	st := m.runs("42.1", "42.1")
	if st.Unfinished == nil || st.Unfinished.Problem != "/etc merge" || st.Unfinished.Hint == "" || st.Unbooted == nil {
		t.Errorf("%+v, %+v", st.Unfinished, st.Unbooted)
	}
	m.says(0, "status", "the last shutdown could not finish an update", "app.conf", "hint: move your copy of it away", "42.3 should have booted and did not")
	m.says(11, "doctor", "42.3 should have booted and did not: ostree: the file app.conf in /etc", "move your copy of it away")

	// ostree-boot-complete.service shows the cause in the journal and removes it.
	if out, err := m.inside("env", "INVOCATION_ID=1", "ostree", "admin", "boot-complete").CombinedOutput(); err == nil || !strings.Contains(string(out), "failed on previous boot") {
		t.Errorf("%v\n%s", err, out)
	}
	m.says(11, "doctor", "42.3 should have booted and did not", "journalctl -b -1 -u ostree-finalize-staged.service")

	// As the hint says: out of the way, once more, and all is well.
	if out, err := m.inside("rm", "/etc/app.conf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.tbx(0, "upgrade")
	m.restart()
	m.runs("42.3", "42.3")
	m.says(0, "doctor")
}

// TestBootFull: there is room for the staged system, and none on /boot for its
// kernel, which is written at shutdown.
func TestBootFull(t *testing.T) {
	m := newMachine(t)
	if err := os.RemoveAll(m.dir + "/tree/usr/lib/modules/5.10.0"); err != nil {
		t.Fatal(err)
	}
	m.mkdir("tree/usr/lib/modules/6.1.0")
	m.write("tree/usr/lib/modules/6.1.0/vmlinuz", "a kernel"+strings.Repeat("\x01k", 1<<20))
	m.write("tree/usr/lib/modules/6.1.0/initramfs.img", "an initramfs")
	m.publish(stable, "42.3")
	m.boot()
	m.tbx(0, "upgrade")
	// A small /boot, whose content comes to the lab after the shutdown.
	script := `cp -a /boot /tmp/; mount -t tmpfs -o size=200k none /boot; cp -a /tmp/boot/. /boot/
ostree admin finalize-staged && exit 1
cp -a /boot/ostree/finalize-failure.stamp /sysroot/boot/ostree/`
	if out, err := m.inside("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.off()
	m.bootsWhole(map[string]bool{"hello 1": true})
	m.boot()
	if st := m.runs("42.1", "42.1"); st.Unfinished == nil || st.Unfinished.Problem != "no space" {
		t.Errorf("%+v", st.Unfinished)
	}
	m.says(11, "doctor", "42.3 should have booted and did not: ostree: there is no space left on the disk", "tbx host cleanup")
	m.tbx(0, "upgrade") // the disk is large again
	m.restart()
	m.runs("42.3", "42.3")
}

// TestKillFinalisation kills the real ostree while it writes what is staged, at
// system calls that change a file system, and cuts the power.
// The old or the new system boots, whole, and the next update arrives.
func TestKillFinalisation(t *testing.T) {
	m := newMachine(t)
	hello := map[string]bool{"hello 1": true}
	old, fresh, version := 0, 0, "42.1"
	for n := 1; ; n += max(1, min(2**killStride, n/3)) { // most of what matters comes first
		newest := fmt.Sprintf("42.%d", m.n)
		hello[fmt.Sprintf("hello %d", m.n)] = true
		m.boot()
		m.tbx(0, "upgrade")
		err := m.inside(killAt(n, "ostree", "admin", "finalize-staged")...).Run()
		m.off()
		m.bootsWhole(hello)
		m.boot()
		switch booted := m.status().State.Booted().Version; {
		case booted == newest:
			fresh++
		case booted == version:
			old++
			m.says(11, "doctor", newest+" should have booted and did not")
			m.tbx(0, "upgrade")
			m.restart()
			m.runs(newest, newest)
		default:
			t.Fatalf("kill %d: %s runs, neither %s nor %s", n, booted, version, newest)
		}
		m.off()
		version = newest
		if err == nil {
			break
		}
		m.publish(stable, fmt.Sprintf("42.%d", m.n+1))
	}
	if old < 3 || fresh < 3 {
		t.Errorf("%d kills left the old system, %d the new one", old, fresh)
	}
	t.Logf("the old system after %d kills, the new one after %d", old, fresh)
}

// TestKillStaging does the same while ostree stages: nothing of what boots changes.
func TestKillStaging(t *testing.T) {
	m := newMachine(t)
	m.boot()
	before, killed := m.boots(), 0
	for n := 1; ; n += 3 * *killStride {
		err := m.inside(killAt(n, m.dir+"/tbx", "host", "upgrade")...).Run()
		if m.boots() != before {
			t.Fatalf("kill %d changed what boots:\n%s", n, m.boots())
		}
		if st := m.status(); st.State.Tracked != "testos:"+stable {
			t.Fatalf("kill %d: follows %q", n, st.State.Tracked)
		}
		m.tbx(0, "upgrade")
		if st := m.runs("42.1", fmt.Sprintf("42.%d", m.n)); !st.State.Next().Staged || st.Interrupted != nil {
			t.Fatalf("kill %d: %+v", n, st)
		}
		if err == nil {
			break
		}
		killed++
		m.publish(stable, fmt.Sprintf("42.%d", m.n+1))
	}
	m.restart()
	m.runs(fmt.Sprintf("42.%d", m.n), fmt.Sprintf("42.%d", m.n))
	if killed < 4 {
		t.Errorf("only %d steps were killed", killed)
	}
	t.Logf("killed at %d steps", killed)
}

// TestH60_EtcConflictSeenWhenStaged: what the shutdown would refuse is refused when it
// is staged, and nothing else is. Each case is held against what ostree then does.
func TestH60_EtcConflictSeenWhenStaged(t *testing.T) {
	for name, c := range etcCases() {
		t.Run(name, func(t *testing.T) { newMachine(t).meets(c) })
	}
}

// etcCase is a change in /etc, and an update that may not take it.
type etcCase struct {
	tree  func(m *machine) // the new system's defaults
	here  string           // what is done in /etc
	names string           // what cannot be merged; empty: nothing
}

func etcCases() map[string]etcCase {
	return map[string]etcCase{
		"a changed file becomes a directory": {func(m *machine) { m.becomesDirectory("app.conf") }, "echo mine >/etc/app.conf", "app.conf"},
		"a link of one's own becomes one":    {func(m *machine) { m.becomesDirectory("app.conf") }, "ln -sf /dev/null /etc/app.conf", "app.conf"},
		"an added file becomes one":          {func(m *machine) { m.becomesDirectory("new.d") }, "echo mine >/etc/new.d", "new.d"},
		"a changed directory becomes a file": {func(m *machine) { m.becomesFile("app.d") }, "echo mine >/etc/app.d/more", "app.d"},
		"a pipe, which ostree takes along":   {func(*machine) {}, "mkfifo /etc/pipe; echo mine >/etc/app.conf", ""},
		"a pipe of one's own becomes one":    {func(m *machine) { m.becomesDirectory("app.conf") }, "rm /etc/app.conf; mkfifo /etc/app.conf", "app.conf"},
		"a pipe below what becomes a file":   {func(m *machine) { m.becomesFile("app.d") }, "mkfifo /etc/app.d/pipe", "app.d"},
		"a device":                           {func(*machine) {}, "mknod /etc/null c 1 3; echo mine >/etc/app.conf", ""},
		"unchanged, added, removed and other": {func(m *machine) {
			m.becomesDirectory("app.conf")
			m.becomesFile("app.d")
			m.becomesFile("own.d")
			m.becomesDirectory("gone.conf")
		}, "mkdir /etc/own.d; echo mine >/etc/own.d/x; rm /etc/gone.conf; echo mine >/etc/other.conf", ""},
	}
}

// meets boots a system, makes the change in its /etc, stages the update, and shuts down.
func (m *machine) meets(c etcCase) {
	m.t.Helper()
	m.mkdir("tree/usr/etc/app.d")
	for _, file := range []string{"app.d/part", "gone.conf", "other.conf"} {
		m.write("tree/usr/etc/"+file, "default\n")
	}
	m.publish(stable, "42.3")
	m.run("ostree", "admin", "--sysroot="+m.sysroot, "upgrade", "--os=testos")
	c.tree(m)
	m.publish(stable, "42.4")
	m.boot()
	if out, err := m.inside("sh", "-c", c.here).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	if c.names == "" {
		m.tbx(0, "upgrade")
	} else {
		m.says(10, "upgrade", "in /etc, "+c.names+" was changed here", "before the restart", "tbx host cancel")
		m.says(0, "doctor", "in /etc, "+c.names)
	}
	if out, err := m.shutDown(); (err == nil) != (c.names == "") {
		m.t.Errorf("the shutdown: %v\n%s", err, out)
	}
}

// TestH90_ChangedAfterTheStaging: the restart would boot the old system, and is refused
// until the file is out of the way.
func TestH90_ChangedAfterTheStaging(t *testing.T) {
	m := newMachine(t)
	m.becomesDirectory("app.conf")
	m.publish(stable, "42.3")
	m.boot()
	m.says(0, "upgrade", "42.3 boots next")
	m.etcFile("app.conf", "mine\n")
	m.says(10, "reboot", "reboot: 42.3 is staged, and would fail at the shutdown: in /etc, app.conf", "tbx host cancel")
	m.says(10, "reboot --soft", "app.conf")
	if out, err := m.inside("mv", "/etc/app.conf", "/var/app.conf").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.says(0, "reboot --dry-run", "then 42.3 boots")
	m.restart()
	m.runs("42.3", "42.3")
}

func (m *machine) becomesDirectory(name string) {
	os.Remove(m.dir + "/tree/usr/etc/" + name) // it may not be there
	m.mkdir("tree/usr/etc/" + name)
	m.write("tree/usr/etc/"+name+"/part", "x")
}

func (m *machine) becomesFile(name string) {
	os.RemoveAll(m.dir + "/tree/usr/etc/" + name) // it may not be there
	m.write("tree/usr/etc/"+name, "x")
}
