//go:build vm

// Package ostree_test drives a Debian that OSTree deployed and booted, in a machine of its own (tests/vm/run ostree), by
// `tbx host` alone, and cuts its power. It runs outside of the machine.
package ostree_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const name = "tbx-ostree"

var (
	data = flag.String("data", "", "the directory that the machine has at /src; tests/vm/run makes it")
	cuts = flag.Int("cuts", 2, "cut the power so many times while an update is staged, and as it is written")
	from = flag.String("image", "ostree", "the machine's image, as tests/vm/vm takes it")
	seed = flag.Int64("seed", 0, "of the moments of the cuts; 0: another one each time")
)

// machine is the one that runs.
type machine struct{ t *testing.T }

// vm runs tests/vm/vm.
func (m machine) vm(args ...string) (string, int) {
	m.t.Helper()
	out, err := exec.Command("../vm", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// on starts the machine; fresh forgets what it wrote before.
func on(t *testing.T, fresh bool) machine {
	t.Helper()
	m := machine{t}
	args := []string{"boot", *from, "--name", name, "--data", *data}
	if fresh {
		args = append(args, "--fresh")
	}
	began := time.Now()
	if out, code := m.vm(args...); code != 0 {
		t.Fatalf("it does not boot: %s", out)
	}
	t.Logf("booted in %s", time.Since(began).Round(time.Second))
	return m
}

func (m machine) cut() {
	m.t.Helper()
	if out, code := m.vm("cut", name); code != 0 {
		m.t.Fatal(out)
	}
}

// root is what a shell of root says to a script.
func (m machine) root(script string) string {
	m.t.Helper()
	out, code := m.vm("ssh", name, "--root", "sh", "-euc", script)
	if code != 0 {
		m.t.Fatalf("%s: %d\n%s", script, code, out)
	}
	return strings.TrimSpace(out)
}

// says runs `tbx host ARGS` as an ordinary user who may use sudo, and wants each part in what it says.
func (m machine) says(code int, args string, parts ...string) string {
	m.t.Helper()
	out, got := m.vm(append([]string{"ssh", name, "tbx", "host", "--elevate", "sudo"}, strings.Fields(args)...)...)
	m.t.Logf("tbx host %s: %d\n%s", args, got, out)
	if got != code {
		m.t.Fatalf("tbx host %s: %d, want %d", args, got, code)
	}
	for _, p := range parts {
		if !strings.Contains(out, p) {
			m.t.Errorf("tbx host %s does not say %q", args, p)
		}
	}
	return out
}

const boot = "cat /proc/sys/kernel/random/boot_id"

// reboot restarts the machine by tbx, and waits until it is up again.
func (m machine) reboot() {
	m.t.Helper()
	before, began := m.root(boot), time.Now()
	// The connection may end before the answer.
	m.vm("ssh", name, "tbx", "host", "--elevate", "sudo", "reboot", "--yes")
	for time.Since(began) < 15*time.Minute {
		time.Sleep(3 * time.Second)
		if now, code := m.vm("ssh", name, "--root", "sh", "-c", boot); code == 0 && strings.TrimSpace(now) != before {
			m.t.Logf("restarted in %s", time.Since(began).Round(time.Second))
			return
		}
	}
	m.t.Fatal("it did not come up again")
}

// publish commits a release, and more, to a branch of the remote.
func (m machine) publish(branch, version, more string, flags ...string) {
	m.t.Helper()
	m.root(fmt.Sprintf(`rm -rf /var/lab/more; mkdir -p /var/lab/more/usr/share/lab; cd /var/lab/more; echo %s >usr/share/lab/release; %s
ostree --repo=/var/lab/remote commit -b lab/%[3]s --tree=ref=lab/%[3]s --tree=dir=/var/lab/more --owner-uid=0 --owner-gid=0 --add-metadata-string=version=%[1]s %[4]s`,
		version, more, branch, strings.Join(flags, " ")))
}

// signed are the flags of a commit that the machine believes.
var signed = []string{"--gpg-homedir=/var/lab/gnupg", "--gpg-sign=lab@example.org"}

// runs wants that release to run, whole, and status to say so and what boots next.
func (m machine) runs(release, next string) {
	m.t.Helper()
	if got := m.root("cat /usr/share/lab/release"); got != release {
		m.t.Errorf("release %s runs, not %s", got, release)
	}
	out := m.says(0, "status")
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) > 2 && strings.Contains(line, "running") && f[1] != release || strings.Contains(line, "boots next") && len(f) > 2 && f[0] != "Reboot" && f[1] != next {
			m.t.Errorf("%s runs and %s should boot next: %s", release, next, line)
		}
	}
}

// TestLife is an owner's year: updates, restarts, the way back, kernel arguments, and what is refused.
func TestLife(t *testing.T) {
	m := on(t, true)
	m.runs("10", "10")
	m.says(0, "check", "no update")
	m.says(0, "doctor")
	m.publish("stable", "20", "", signed...)
	m.says(0, "check", "Update 20")
	m.says(0, "upgrade --yes", "20 boots next, after 10")
	m.runs("10", "20")
	m.says(77, "upgrade --yes --check", "Unchanged")

	m.cut() // what is staged is written at a shutdown only
	m = on(t, false)
	m.runs("10", "10")
	m.says(0, "status", "20 was to boot and did not")
	m.says(11, "doctor", "20 was to boot and did not")

	m.says(0, "upgrade --yes", "20 boots next, after 10")
	m.reboot()
	m.runs("20", "20")
	m.says(0, "doctor", "2 systems")
	m.refusals()

	m.says(0, "pin rollback --yes")
	m.says(0, "kargs --append lab.mark=1 --yes")
	m.says(77, "kargs --append lab.mark=1 --yes --check", "Unchanged")
	m.reboot()
	m.runs("20", "20")
	if got := m.root("cat /proc/cmdline"); !strings.Contains(got, "lab.mark=1") {
		t.Errorf("kernel arguments: %s", got)
	}

	out := m.says(0, "status", "pinned")
	index := ""
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "pinned") {
			index = strings.Fields(line)[0]
		}
	}
	m.says(0, "rollback --yes "+index, "10 boots next, after 20")
	m.says(0, "rollback --yes "+index, "Unchanged")
	m.reboot()
	m.runs("10", "10")
	m.says(0, "check", "Update 20")
}

// refusals: 2 runs; nothing that is refused changes what boots.
func (m machine) refusals() {
	m.t.Helper()
	const boots = "cat /boot/loader/entries/*; ls /run/ostree"
	before := m.root(boots)
	m.publish("stable", "30", "")
	m.says(19, "check", "signature")
	m.says(19, "upgrade --yes", "signature")
	m.root("mv /var/lab/remote /var/lab/away")
	if _, code := m.vm("ssh", name, "tbx", "host", "check"); code == 0 {
		m.t.Error("a remote that is gone has no update")
	}
	m.root("mv /var/lab/away /var/lab/remote")
	m.says(3, "switch --yes lab:lab/nosuch")
	m.says(3, "rollback --yes 9")
	m.publish("stable", "40", `mkdir -p usr/lib/modules/$(uname -r); head -c 120000000 /dev/urandom >usr/lib/modules/$(uname -r)/vmlinuz`, signed...)
	if out, code := m.vm("ssh", name, "tbx", "host", "--elevate", "sudo", "upgrade", "--yes"); code == 0 || !strings.Contains(out, "/boot") {
		m.t.Errorf("a kernel that does not fit: %d\n%s", code, out)
	}
	if out, code := m.vm("ssh", name, "tbx", "host", "--elevate", "none", "kargs", "--append", "x=1", "--yes"); code != 18 {
		m.t.Errorf("without a way to become root: %d\n%s", code, out)
	}
	if after := m.root(boots); after != before {
		m.t.Errorf("something that was refused changed what boots:\n%s\nwas\n%s", after, before)
	}
	m.root("ostree --repo=/var/lab/remote reset lab/stable lab/stable^^")
}

// TestPowerCuts: at whatever moment of staging or of writing at the shutdown, the old or the new system boots, whole, tbx
// says which, and the next update arrives.
func TestPowerCuts(t *testing.T) {
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	t.Logf("-seed %d", *seed)
	random := rand.New(rand.NewSource(*seed))
	m := on(t, true)
	running := 10
	for n := range 2 * *cuts {
		fresh := n + 11
		m.publish("stable", fmt.Sprint(fresh), "head -c 20000000 /dev/urandom >usr/share/lab/big", signed...)
		if n%2 == 0 {
			up := exec.Command("../vm", "ssh", name, "--root", "tbx", "host", "upgrade", "--yes")
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.Int63n(int64(12 * time.Second))))
			m.cut()
			up.Wait()
		} else {
			m.says(0, "upgrade --yes", fmt.Sprintf("%d boots next", fresh))
			m.root("systemctl reboot")
			time.Sleep(time.Duration(random.Int63n(int64(20 * time.Second))))
			m.cut()
		}
		m = on(t, false)
		got := 0
		fmt.Sscan(m.root("cat /usr/share/lab/release"), &got)
		t.Logf("cut %d: %d runs", n, got)
		if got != fresh && got != running || got == fresh && n%2 == 0 {
			t.Fatalf("%d runs, neither %d nor %d", got, running, fresh)
		}
		m.runs(fmt.Sprint(got), fmt.Sprint(got))
		m.root("ostree --repo=/ostree/repo fsck --quiet >/dev/null")
		running = got
	}
	m.publish("stable", "99", "", signed...)
	m.says(0, "upgrade --yes", "99 boots next")
	m.reboot()
	m.runs("99", "99")
	m.says(0, "doctor")
}

// TestComposefs: to a branch with composefs, an update there, and back to plain files.
func TestComposefs(t *testing.T) {
	m := on(t, true)
	m.says(0, "switch --yes lab:lab/composefs", "10c boots next, after 10")
	m.reboot()
	if got := m.root("findmnt -no FSTYPE,SOURCE /"); !strings.Contains(got, "overlay") || !strings.Contains(got, "composefs") {
		t.Fatalf("the root is no composefs: %s", got)
	}
	m.says(0, "status", "Follows  lab:lab/composefs")
	m.says(0, "check", "no update")
	m.publish("composefs", "20c", "", signed...)
	m.says(0, "check", "Update 20c")
	m.says(0, "upgrade --yes", "20c boots next, after 10c")
	m.reboot()
	m.runs("20c", "20c")
	m.says(0, "etc-diff")
	m.says(0, "doctor")
	m.says(0, "rollback --yes", "10c boots next, after 20c")
	m.reboot()
	m.runs("10c", "10c")
}
