//go:build system

package system_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// editKills is how many times an edit is killed: $TBX_KILLS, or few.
func editKills(t *testing.T) int {
	text := os.Getenv("TBX_KILLS")
	if text == "" {
		return 16
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestE10_KilledEdit kills tbx with all that it started, or podman's service with it, at
// a random moment of an edit, of a toolbox that runs and of one that does not. The next
// call finds one toolbox of the name, with all that was in it, and either settings.
func TestE10_KilledEdit(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-edit"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	p.run(0, "tbx", "run", name, "--", "sh", "-c", "echo kept >/var/tmp/kept")
	whole := length(func() { p.run(0, "tbx", "edit", "--env", "N=0", name) })
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d, an edit takes %v", seed, whole)
	n := 0
	for i := range editKills(t) {
		if i%3 == 2 {
			p.run(0, "tbx", "stop", name)
		}
		cmd := p.command("tbx", "edit", "--env", fmt.Sprintf("N=%d", i+1), name)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole * 5 / 4))))
		if i%4 == 3 {
			p.killServices()
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		done := cmd.Wait() == nil
		if i%2 == 0 { // by list, or by the command itself
			if out := p.run(0, "tbx", "list", "--names"); strings.Count("\n"+out, "\n"+name+"\n") != 1 {
				t.Fatalf("kill %d: list:\n%s%s", i, out, p.run(0, "podman", "ps", "--all", "--external"))
			}
		}
		out, code := p.try("tbx", "run", name, "--", "sh", "-c", "cat /var/tmp/kept; echo N is $N")
		m := regexp.MustCompile(`(?m)^N is (\d+)$`).FindStringSubmatch(out)
		if code != 0 || !strings.Contains(out, "kept\n") || m == nil {
			t.Fatalf("kill %d: run: %d\n%s%s", i, code, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		now, _ := strconv.Atoi(m[1])
		if now != i+1 && (now != n || done) {
			t.Errorf("kill %d: the settings are of edit %d, not of %d or %d", i, now, n, i+1)
		}
		n = now
	}
	p.settle()
	p.run(0, "tbx", "list")
	if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); strings.TrimSpace(out) != name {
		t.Errorf("containers are left:\n%s", out)
	}
	p.run(0, "tbx", "rm", "--force", name)
	p.clean(name, n)
	if left, _ := filepath.Glob(p.dir + "/state/tbx/edits/*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestE11_SameAfterAnEdit: all that is in a toolbox is the same after an edit, whatever
// it is, with each storage driver.
func TestE11_SameAfterAnEdit(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			p := newPlace(t, "STORAGE_DRIVER="+driver)
			name := prefix + "same-" + driver
			p.run(0, "tbx", "create", "--image", image("busybox"), name)
			p.run(0, "tbx", "run", name, "--", "true")
			p.run(0, "tbx", "stop", name)
			p.inTree(name, "fill")
			before := p.inTree(name, "manifest")
			for _, what := range []string{"/odd", "security.capability", "user.tbxtest", "fifo"} {
				if !strings.Contains(before, what) {
					t.Errorf("the manifest has no %s", what)
				}
			}
			id := p.run(0, "podman", "inspect", "-f", "{{.Id}}", name)
			p.run(0, "tbx", "edit", "--env", "A=1", name)
			if p.run(0, "podman", "inspect", "-f", "{{.Id}}", name) == id {
				t.Error("it is the same container")
			}
			if after := p.inTree(name, "manifest"); after != before {
				t.Errorf("before and after:\n%s", firstDifference(before, after))
			}
			if out := p.run(0, "tbx", "run", name, "--", "sh", "-c", "echo A is $A; cat /odd/hard"); !strings.Contains(out, "A is 1\nlinked") {
				t.Errorf("%s", out)
			}
			p.run(0, "tbx", "rm", "--force", name)
			p.clean(name, 0)
		})
	}
}

// inTree has this program work in the tree of a container that does not run, as the root
// of podman's user namespace; see treeWork.
func (p *place) inTree(name, work string) string {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	// Whoever stopped it may still have podman unmount it.
	script := `for i in $(seq 100); do grep -q "$3.*/merged" /proc/self/mountinfo || break; sleep 0.05; done
		dir=$(podman mount "$1") && TREE_WORK=$2 TREE=$dir "$0"; code=$?; podman umount "$1" >/dev/null; exit $code`
	cmd := p.command("podman", "unshare", "sh", "-c", script, self, name, work, p.dir)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s%s", work, err, out, errs.String())
	}
	return string(out)
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for i := 0; i < max(len(x), len(y)) && len(out) < 10; i++ {
		var l, r string
		if i < len(x) {
			l = x[i]
		}
		if i < len(y) {
			r = y[i]
		}
		if l != r {
			out = append(out, "- "+l, "+ "+r)
		}
	}
	return strings.Join(out, "\n")
}

// TestE15_FullDisk: an edit on a full disk fails, and the toolbox is as it was; when there
// is room again, it can be edited.
func TestE15_FullDisk(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "full-edit"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	p.run(0, "tbx", "run", name, "--", "sh", "-c", "echo kept >/var/tmp/kept")
	asItWas := func(what, out string) {
		t.Helper()
		if !strings.Contains(out, "hint: ") {
			t.Errorf("%s: %s", what, out)
		}
		if out := p.run(0, "tbx", "run", name, "--", "sh", "-c", "cat /var/tmp/kept; echo A is $A."); !strings.Contains(out, "kept\nA is .") {
			t.Errorf("%s: %s", what, out)
		}
		if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); strings.TrimSpace(out) != name {
			t.Errorf("%s: containers are left:\n%s", what, out)
		}
	}
	// Where tbx keeps what an edit needs after a crash, before anything is done.
	script := `cp -a "$1" "$1.copy" && mount -t tmpfs -o size=64k tmpfs "$1" && cp -a "$1.copy/." "$1"; rm -r "$1.copy"; head -c 90000 /dev/zero >"$1/fill"; exec tbx edit --env A=1 "$2"`
	out := p.run(1, "unshare", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", script, "sh", filepath.Join(p.dir, "state"), name)
	if !strings.Contains(out, "no space left on device") {
		t.Errorf("%s", out)
	}
	asItWas("state", out)
	// The specification, when all has been exchanged.
	specs := filepath.Join(p.dir, "config/tbx/toolboxes")
	if err := os.Chmod(specs, 0o555); err != nil {
		t.Fatal(err)
	}
	out = p.run(1, "tbx", "edit", "--env", "A=1", name)
	if err := os.Chmod(specs, 0o755); err != nil {
		t.Fatal(err)
	}
	asItWas("specification", out)
	p.run(0, "tbx", "edit", "--env", "A=1", name)
	if out := p.run(0, "tbx", "run", name, "--", "sh", "-c", "cat /var/tmp/kept; echo A is $A."); !strings.Contains(out, "kept\nA is 1.") {
		t.Error(out)
	}
	p.run(0, "tbx", "rm", "--force", name)
}
