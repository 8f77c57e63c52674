//go:build system

package ostree_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

var bootLink = regexp.MustCompile(`ostree=(\S+)`)

// killStride 1 takes five minutes and has been seen to hold at all 518 steps, most of
// which clean up after the kill before.
var killStride = flag.Int("killstride", 5, "kill ostree at every n-th step")

// bootsWhole checks what a boot loader would do next: the entry of the highest
// version, its kernel, and a whole tree of one of the versions published.
func (l *lab) bootsWhole(hello map[string]bool) {
	l.t.Helper()
	entries, err := filepath.Glob(l.sysroot + "/boot/loader/entries/ostree-*.conf")
	if err != nil || len(entries) == 0 {
		l.t.Fatalf("nothing to boot: %v", err)
	}
	best, top := "", -1
	for _, e := range entries {
		data, err := os.ReadFile(e)
		if err != nil {
			l.t.Fatal(err)
		}
		v := -1
		for line := range strings.Lines(string(data)) {
			fmt.Sscanf(line, "version %d", &v)
		}
		if v > top {
			best, top = string(data), v
		}
	}
	for line := range strings.Lines(best) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "linux" || key == "initrd" {
			if fi, err := os.Stat(filepath.Join(l.sysroot, "boot", value)); err != nil || fi.Size() == 0 {
				l.t.Fatalf("%s of the entry that boots: %v\n%s", key, err, best)
			}
		}
	}
	m := bootLink.FindStringSubmatch(best)
	if m == nil {
		l.t.Fatalf("an entry without ostree=:\n%s", best)
	}
	root := filepath.Join(l.sysroot, m[1])
	data, err := os.ReadFile(root + "/usr/bin/hello")
	if err != nil || !hello[string(data)] {
		l.t.Fatalf("what boots is not whole: hello is %q, %v\n%s", data, err, best)
	}
	for _, f := range []string{"usr/lib/os-release", "usr/etc/app.conf", "etc/app.conf"} {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			l.t.Fatalf("what boots is not whole: %v", err)
		}
	}
}

// killAt is argv under strace(1), killed at its n-th system call that changes a
// file system.
func killAt(n int, argv ...string) []string {
	const changing = "renameat,renameat2,rename,linkat,symlinkat,unlinkat,mkdirat,fsync,fdatasync,syncfs,fchmod,ftruncate"
	return append([]string{"strace", "-f", "-o", "/dev/null", "-e", "trace=" + changing, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", changing, n)}, argv...)
}

// TestKillOstreeAtEveryStep kills the real ostree with SIGKILL at the system
// calls that change a file system, in turn: every killStride-th of them. After each kill the old or the new
// system boots, whole, and the next upgrade arrives.
func TestKillOstreeAtEveryStep(t *testing.T) {
	real, err := exec.LookPath("ostree")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	l.mkdir("bin")
	hello := map[string]bool{"hello 1": true}
	killed, n := 0, 1
	for ; ; n += *killStride {
		hello[fmt.Sprintf("hello %d", l.n)] = true
		script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *upgrade*) exec %s \"$@\";; esac\nexec %s \"$@\"\n", strings.Join(killAt(n, real), " "), real)
		l.write("bin/ostree", script)
		if err := os.Chmod(l.dir+"/bin/ostree", 0o755); err != nil {
			t.Fatal(err)
		}
		plain := l.cfg.Tools.Dirs
		l.cfg.Tools.Dirs = append([]string{l.dir + "/bin"}, plain...)
		_, err := l.host().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
		l.cfg.Tools.Dirs = plain
		l.bootsWhole(hello)
		if err == nil {
			break
		}
		var te *osupdate.ToolError
		if !errors.As(err, &te) || te.Code != -1 {
			t.Fatalf("kill %d: %v\n%s", n, err, said(err))
		}
		killed++
		if s := l.state(); s.Tracked != "testos:"+stable {
			t.Fatalf("kill %d: follows %q", n, s.Tracked)
		}
		res := l.do(osupdate.Request{Verb: osupdate.Upgrade})
		if want := fmt.Sprintf("42.%d", l.n); res.After.Version != want {
			t.Fatalf("kill %d: the upgrade after it arrived at %s, not %s", n, res.After.Version, want)
		}
		l.bootsWhole(hello)
		l.publish(stable, fmt.Sprintf("42.%d", l.n+1))
	}
	if killed < 10 {
		t.Errorf("only %d steps were killed", killed)
	}
	t.Logf("killed at %d steps", killed)
}

// TestKillTbxAtEveryStep kills the process of tbx itself at each point that it
// passes. This test runs itself as that process.
func TestKillTbxAtEveryStep(t *testing.T) {
	if dir := os.Getenv("TBX_TEST_DIE_IN"); dir != "" {
		dieAt(t, dir, os.Getenv("TBX_TEST_DIE_AT"))
	}
	l := newLab(t)
	for _, point := range []string{"locked", "begun", "step 1 of", "step 1 done", "verified", "recorded"} {
		hello := map[string]bool{}
		for i := 1; i <= l.n; i++ {
			hello[fmt.Sprintf("hello %d", i)] = true
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillTbxAtEveryStep$")
		cmd.Env = append(os.Environ(), "TBX_TEST_DIE_IN="+l.dir, "TBX_TEST_DIE_AT="+point)
		out, err := cmd.CombinedOutput()
		ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if err == nil || !ok || ws.Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it lived: %v\n%s", point, err, out)
		}
		l.bootsWhole(hello)
		st, err := l.host().Status(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		if began := point != "locked" && point != "recorded"; began != (st.Interrupted != nil) {
			t.Errorf("%s: interrupted operation: %+v", point, st.Interrupted)
		}
		l.do(osupdate.Request{Verb: osupdate.Upgrade})
		if st, err = l.host().Status(t.Context()); err != nil || st.Interrupted != nil {
			t.Errorf("%s: still called interrupted: %+v, %v", point, st, err)
		}
		if u, err := l.host().Check(t.Context()); err != nil || u.Update != nil {
			t.Errorf("%s: not up to date: %+v, %v", point, u, err)
		}
		l.publish(stable, fmt.Sprintf("42.%d", l.n+1))
	}
}

// TestKillTbxWhileBuilding kills tbx at each point of a build. The old or the new
// tree boots, whole, the host follows one that boots, and the next build arrives.
func TestKillTbxWhileBuilding(t *testing.T) {
	if dir := os.Getenv("TBX_TEST_DIE_IN"); dir != "" {
		dieAt(t, dir, os.Getenv("TBX_TEST_DIE_AT"))
	}
	l := newLab(t)
	hello := map[string]bool{"hello 1": true}
	for n, point := range []string{"begun", "step 1 of", "step 1 done", "step 2 of", "step 2 done", "step 3 of", "step 3 done", "verified"} {
		text := fmt.Sprintf("mine %d", n)
		hello[text] = true
		l.write("tree/usr/bin/hello", text)
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillTbxWhileBuilding$")
		cmd.Env = append(os.Environ(), "TBX_TEST_DIE_IN="+l.dir, "TBX_TEST_DIE_AT="+point, "TBX_TEST_BUILD=1")
		out, err := cmd.CombinedOutput()
		ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if err == nil || !ok || ws.Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it lived: %v\n%s", point, err, out)
		}
		l.bootsWhole(hello)
		if ref := l.state().Tracked; ref == "tbx/local" && n > 0 {
			if _, err := l.host().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); err != nil && !errors.Is(err, osupdate.ErrDowngrade) {
				t.Errorf("%s: the host cannot follow %s: %v", point, ref, err)
			}
			l.bootsWhole(hello)
		}
		if _, err := l.host().Build(t.Context(), l.dir+"/tree", false); err != nil {
			t.Fatalf("%s: the next build: %v\n%s", point, err, said(err))
		}
		l.bootsWhole(map[string]bool{text: true})
	}
}

// dieAt upgrades the lab in dir, or builds for it, and kills itself at a point.
func dieAt(t *testing.T, dir, point string) {
	l := openLab(t, dir)
	l.cfg.Trace = func(event string) {
		if strings.HasPrefix(event, point) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {}
		}
	}
	var err error
	if os.Getenv("TBX_TEST_BUILD") != "" {
		_, err = l.host().Build(t.Context(), dir+"/tree", false)
	} else {
		_, err = l.host().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
	}
	t.Fatalf("never came to %q: %v", point, err)
}
