//go:build vm

// Package vm_test is run in a machine of its own (tests/vm/run), as an ordinary user with a session of systemd, where
// SELinux is enforcing and cgroups have their controllers.
package vm_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const image = "localhost/busybox:lab"

func TestMain(m *testing.M) {
	for _, args := range [][]string{{"podman", "import", "--quiet", "/src/images/busybox.tar", image}, {"sudo", "semodule", "-r", "tbx"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil && args[0] == "podman" {
			fmt.Fprintf(os.Stderr, "%q: %v\n%s", args, err, out)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// result is what became of a command.
type result struct {
	out, errs string
	code      int
}

func run(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/" // which every toolbox has
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v", args, err)
	}
	t.Logf("%q: %d\n%s%s", args, cmd.ProcessState.ExitCode(), out.String(), errs.String())
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t, "", args...)
	if r.code != 0 {
		t.Fatalf("%q: exit code %d", args, r.code)
	}
	return r.out
}

func create(t *testing.T, name string, flags ...string) {
	t.Helper()
	must(t, append(append([]string{"tbx", "create", "--yes", "--image", image}, flags...), name)...)
	t.Cleanup(func() { must(t, "tbx", "rm", "--force", "--yes", name) })
}

// TestX30_SELinux: with the policy of Debian an isolated toolbox cannot be, and that is said; with tbx's module it works,
// and stays confined.
func TestX30_SELinux(t *testing.T) {
	if got := strings.TrimSpace(must(t, "getenforce")); got != "Enforcing" {
		t.Fatalf("SELinux is %s", got)
	}
	create(t, "plain")
	if got := run(t, "hello\n", "tbx", "run", "plain", "--", "cat"); got.out != "hello\n" || got.code != 0 {
		t.Errorf("an ordinary toolbox: %+v", got)
	}
	create(t, "cell", "--isolated")
	got := run(t, "", "tbx", "start", "cell")
	for _, want := range []string{"the policy of SELinux keeps it (container_t) from the pipes", "sudo semodule -i /src/share/selinux/packages/tbx.cil"} {
		if !strings.Contains(got.errs, want) || got.code != 5 {
			t.Errorf("without the module: exit code %d, nothing of %q:\n%s", got.code, want, got.errs)
		}
	}
	must(t, "sudo", "semodule", "-i", "/src/share/selinux/packages/tbx.cil")
	t.Cleanup(func() { must(t, "sudo", "semodule", "-r", "tbx") })
	must(t, "tbx", "stop", "cell") // what began without the module
	if got := run(t, "hello\n", "tbx", "run", "cell", "--", "cat"); got.out != "hello\n" || got.code != 0 {
		t.Errorf("with the module: %+v", got)
	}
	if got := run(t, "", "tbx", "run", "--root", "cell", "--", "cat", "/proc/self/attr/current"); !strings.Contains(got.out, ":container_t:s0:c") {
		t.Errorf("its label: %+v", got)
	}
	t.Run("bridge", func(t *testing.T) {
		create(t, "other", "--isolated")
		const ask = `exec $(ls /run/tbx/box/*/tbx-box) host-exec true`
		// The policy of hosts denies it, which is an answer.
		if got := run(t, "", "tbx", "run", "--workdir", "/", "cell", "--", "sh", "-c", ask); got.code != 126 || strings.Contains(got.errs, "cannot reach") {
			t.Errorf("the bridge: %+v", got)
		}
		// A socket has the label of the toolbox that it is for.
		for _, name := range []string{"cell", "other"} {
			must(t, "tbx", "run", name, "--", "true")
		}
		labels := must(t, "sudo", "sh", "-c", `for fd in /proc/$(pgrep -of 'tbx agent --serve')/fd/*; do
			getfattr --absolute-names --only-values -n security.selinux $fd 2>/dev/null; echo; done | grep -ao 'container_t:s0:c[0-9]*,c[0-9]*'`)
		if f := strings.Fields(labels); len(f) != 2 || f[0] == f[1] {
			t.Errorf("labels of the sockets: %q", f)
		}
	})
	t.Run("plain file of the host", func(t *testing.T) {
		home, _ := os.UserHomeDir()
		secret := filepath.Join(home, "secret")
		if err := os.WriteFile(secret, []byte("canary\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(secret)
		pid := strings.TrimSpace(must(t, "podman", "inspect", "--format", "{{.State.Pid}}", "cell"))
		label := strings.TrimSpace(must(t, "cat", "/proc/"+pid+"/attr/current"))
		// The same domain without the container around it: what it would meet if it came out.
		if got := run(t, "", "sudo", "runcon", strings.TrimRight(label, "\x00"), "cat", secret); got.code == 0 || strings.Contains(got.out, "canary") {
			t.Errorf("%s reads a file of the host: %+v", label, got)
		}
	})
}

// module loads tbx's policy for a test that is about something else.
func module(t *testing.T) {
	t.Helper()
	must(t, "sudo", "semodule", "-i", "/src/share/selinux/packages/tbx.cil")
	t.Cleanup(func() { must(t, "sudo", "semodule", "-r", "tbx") })
}

// TestX31_MemoryUsedUp: what takes more than --memory ends, and neither the toolbox nor what else runs in it does.
func TestX31_MemoryUsedUp(t *testing.T) {
	module(t)
	create(t, "small", "--isolated", "--memory", "100m")
	must(t, "tbx", "run", "small", "--", "true")
	first := must(t, "podman", "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "small")
	bystander := exec.Command("tbx", "run", "small", "--", "sleep", "1000")
	bystander.Dir = "/"
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bystander.Wait() }()
	defer bystander.Process.Kill()
	awaitProcess(t, "small", "sleep 1000")
	for _, hog := range []string{ // one that is larger than all others, and one with a second that goes on asking for memory
		`head -c 300000000 /dev/zero | tail -c 300000000`,
		`exec tail -c 300000000 </dev/zero`,
		`for i in 1 2 3 4 5 6; do head -c 30000000 /dev/zero | tail -c 30000000 >/dev/null & done; wait`,
		`head -c 300000000 /dev/zero | tail -c 300000000 | tail -c 300000000`,
	} {
		for range 2 {
			run(t, "", "tbx", "run", "small", "--", "sh", "-c", hog)
			if now := must(t, "podman", "inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}}", "small"); now != first {
				t.Fatalf("after %q the toolbox is another one: %q, %q", hog, now, first)
			}
			select {
			case err := <-ended:
				t.Fatalf("%q ended another session: %v", hog, err)
			default:
			}
		}
	}
	if kills := must(t, "tbx", "run", "small", "--", "sh", "-c", "grep '^oom_kill ' /sys/fs/cgroup/memory.events"); strings.TrimSpace(kills) == "oom_kill 0" {
		t.Error("nothing was ended for its memory, so this shows nothing")
	}
}

func awaitProcess(t *testing.T, name, command string) {
	t.Helper()
	for range 100 {
		if out, _ := exec.Command("podman", "exec", "-t", name, "ps").Output(); strings.Contains(string(out), command) {
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
	t.Fatalf("%s does not run in %s", command, name)
}

// TestX32_ProcessesUsedUp: where no process can be added, tbx says so, and the toolbox can be stopped and used again.
func TestX32_ProcessesUsedUp(t *testing.T) {
	module(t)
	create(t, "full", "--isolated")
	must(t, "tbx", "run", "full", "--", "true")
	if got := strings.TrimSpace(must(t, "tbx", "run", "full", "--", "cat", "/sys/fs/cgroup/pids.max")); got != "4096" {
		t.Errorf("limit: %s", got)
	}
	// The real limit takes minutes to reach on an emulated processor: the unit's own is set to what it has, and a few.
	id := strings.TrimSpace(must(t, "podman", "inspect", "--format", "{{.Id}}", "full"))
	must(t, "systemctl", "--user", "set-property", "--runtime", "libpod-"+id+".scope", "TasksMax=30")
	bomb := exec.Command("tbx", "run", "full", "--", "sh", "-c", "while :; do sleep 1000 & done")
	bomb.Dir = "/"
	if err := bomb.Start(); err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(must(t, "podman", "inspect", "--format", "{{.State.Pid}}", "full")))
	cgroup := must(t, "sh", "-c", fmt.Sprintf("cut -d: -f3 /proc/%d/cgroup", pid))
	for range 100 {
		if now := strings.TrimSpace(must(t, "cat", "/sys/fs/cgroup"+strings.TrimSpace(cgroup)+"/pids.current")); now >= "28" && len(now) == 2 {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	got := run(t, "", "tbx", "run", "full", "--", "true")
	if got.code == 0 {
		t.Error("a command ran, so the limit was not reached")
	}
	if !strings.Contains(got.errs, "toolbox full has as many processes as it may have") {
		t.Errorf("nothing says why:\n%s", got.errs)
	}
	must(t, "tbx", "stop", "full")
	bomb.Wait()
	must(t, "tbx", "run", "full", "--", "true")
}
