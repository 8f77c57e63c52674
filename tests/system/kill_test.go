//go:build system

package system_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kills is how many times a call is killed, at moments spread over its length.
const kills = 12

// place is a storage, a configuration and a podman service of a test's own.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T, env ...string) *place {
	dir, err := os.MkdirTemp("", "systest-kill")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, env: append(passed(), "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config", "XDG_STATE_HOME="+dir+"/state", "STORAGE_DRIVER=overlay")}
	p.env = append(p.env, env...)
	t.Cleanup(func() {
		// By the user's own storage: of this one, podman would make parts anew when it ends. A
		// podman that a monitor has called may still do so.
		if out, err := exec.Command("podman", "unshare", "sh", "-c", `for i in 1 2 3 4 5 6; do umount -l "$0"/data/containers/storage/overlay; rm -rf "$0" && exit 0; sleep 1; done; exit 1`, dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	p.run(0, "podman", "import", "--quiet", filepath.Join(os.Getenv("TBX_IMAGES"), "busybox.tar"), image("busybox"))
	return p
}

func (p *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = p.env
	return cmd
}

// run runs a command that must end with one of the codes, and returns what it said.
func (p *place) run(code int, args ...string) string {
	p.t.Helper()
	out, got := p.try(args...)
	if got != code {
		p.t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

func (p *place) try(args ...string) (out string, code int) {
	data, err := p.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if exit != nil {
		if code = exit.ExitCode(); code < 0 {
			data = fmt.Appendf(data, "(%v)\n", exit)
		}
	}
	return string(data), code
}

// killed starts a command and calls kill with its process after a share of length.
func (p *place) killed(length time.Duration, i int, kill func(*os.Process), args ...string) {
	p.t.Helper()
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(length * time.Duration(i) / (kills - 2)) // the last one or two are too late
	kill(cmd.Process)
	cmd.Wait()
}

func killOne(process *os.Process) { process.Kill() }

// clean fails unless nothing of the toolbox is left, and says at which kill.
func (p *place) clean(name string, i int) {
	p.t.Helper()
	if out := p.run(0, "podman", "ps", "--all", "--external", "--quiet"); strings.TrimSpace(out) != "" {
		p.t.Errorf("kill %d: containers are left:\n%s", i, p.run(0, "podman", "ps", "--all", "--external"))
	}
	for _, pattern := range []string{p.dir + "/config/tbx/toolboxes/*", p.dir + "/config/tbx/toolboxes/.*", p.dir + "/state/tbx/log/*", os.Getenv("XDG_RUNTIME_DIR") + "/tbx/toolboxes/*" + name + "*"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			if filepath.Base(f) != "." && filepath.Base(f) != ".." {
				p.t.Errorf("kill %d: left behind: %s", i, f)
			}
		}
	}
}

// length is how long a command takes here and now.
func length(run func()) time.Duration {
	begin := time.Now()
	run()
	return time.Since(begin)
}

// TestF7_KilledCreate kills create at every step. A second create puts right what
// is left, or says that the toolbox exists, which then works.
func TestF7_KilledCreate(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-create"
	create := []string{"tbx", "create", "--image", image("busybox"), name}
	p.run(0, create...) // the image is mapped once
	p.run(0, "tbx", "rm", "--force", name)
	whole := length(func() { p.run(0, create...) })
	p.run(0, "tbx", "rm", "--force", name)
	for i := range kills {
		p.killed(whole, i, killOne, create...)
		if i%4 == 3 { // not made again, but removed
			if out, code := p.try("tbx", "rm", "--force", name); code != 0 && code != 3 {
				t.Fatalf("kill %d: rm: %d\n%s", i, code, out)
			}
			p.settle()
			if _, code := p.try("tbx", "rm", "--force", name); code != 0 && code != 3 {
				t.Errorf("kill %d: rm after podman was done: %d", i, code)
			}
			p.clean(name, i)
			continue
		}
		if out, code := p.try(create...); code != 0 && code != 4 {
			t.Fatalf("kill %d: create: %d\n%s", i, code, out)
		}
		p.run(0, "tbx", "run", name, "--", "true")
		if out := p.run(0, "tbx", "list"); strings.Count(out, name) != 1 {
			t.Errorf("kill %d: %s", i, out)
		}
		p.run(0, "tbx", "rm", "--force", name)
		p.clean(name, i)
	}
}

// settle waits until podman has finished what a killed tbx asked of it. podman ps itself
// fails where a container goes away while it looks.
func (p *place) settle() {
	list := []string{"podman", "ps", "--all", "--external", "--quiet"}
	for range 100 {
		before, code := p.try(list...)
		time.Sleep(100 * time.Millisecond)
		if after, again := p.try(list...); code == 0 && again == 0 && before == after {
			return
		}
	}
}

// TestF7_KilledStart kills the first run at every step. The second one is as if
// nothing had been.
func TestF7_KilledStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-start"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	first := []string{"tbx", "run", name, "--", "true"}
	p.run(0, first...)
	p.run(0, "tbx", "stop", name)
	whole := length(func() { p.run(0, first...) })
	for i := range kills {
		p.run(0, "tbx", "stop", name)
		p.killed(whole, i, killOne, first...)
		if out := p.run(0, "tbx", "run", name, "--", "sh", "-c", "id -un; cat /run/tbx/state/name; test -e /run/host/etc/passwd"); !strings.Contains(out, name) {
			t.Errorf("kill %d: %s", i, out)
		}
		p.run(0, "tbx", "run", name, "--", "true")
	}
	p.run(0, "tbx", "rm", "--force", name)
	p.clean(name, kills)
}

// TestF7_KilledStop kills stop, rm and rename in the middle.
func TestF7_KilledStop(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name, other = prefix + "kill-stop", prefix + "kill-stop-other"
	for i := range kills {
		if _, code := p.try("tbx", "create", "--image", image("busybox"), name); code != 0 && code != 4 {
			t.Fatalf("kill %d: create: %d", i, code)
		}
		p.run(0, "tbx", "run", name, "--", "true")
		const whole = 150 * time.Millisecond
		switch i % 4 {
		case 0, 1:
			p.killed(whole, i, killOne, "tbx", "stop", name)
			p.run(0, "tbx", "stop", name)
			p.run(0, "tbx", "run", name, "--", "true")
		case 2:
			p.killed(whole, i, killOne, "tbx", "rm", "--force", name)
			if out, code := p.try("tbx", "rm", "--force", name); code != 0 && code != 3 {
				t.Fatalf("kill %d: rm: %d\n%s", i, code, out)
			}
			p.clean(name, i)
		case 3:
			p.killed(whole, i, killOne, "tbx", "rename", name, other)
			p.settle()
			if _, code := p.try("tbx", "rename", name, other); code != 0 && code != 3 {
				t.Fatalf("kill %d: rename: %d", i, code)
			}
			if out := p.run(0, "tbx", "run", other, "--", "sh", "-c", "echo $TBX_TOOLBOX"); !strings.HasSuffix(strings.TrimSpace(out), other) { // behind what may be warned of
				t.Errorf("kill %d: the toolbox %s calls itself %s", i, other, out)
			}
			p.run(0, "tbx", "rm", "--force", other)
			p.clean(name, i)
		}
	}
	p.try("tbx", "rm", "--force", name)
	p.clean(name, kills)
}

// TestF10_KilledPodman kills the podman service, and the tbx that waits for it, in
// the middle of a create: podman then has a container that only --external shows.
func TestF10_KilledPodman(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-podman"
	create := []string{"tbx", "create", "--image", image("busybox"), name}
	p.run(0, create...)
	p.run(0, "tbx", "rm", "--force", name)
	whole := length(func() { p.run(0, create...) })
	p.run(0, "tbx", "rm", "--force", name)
	for i := range kills {
		p.killed(whole, i, func(process *os.Process) { p.killServices(); process.Kill() }, create...)
		out, code := p.try(create...)
		if said, ran := p.try("tbx", "run", name, "--", "true"); code != 0 && code != 4 || ran != 0 {
			t.Fatalf("kill %d: create: %d\n%srun: %d\n%s%s", i, code, out, ran, said, p.run(0, "podman", "ps", "--all", "--external"))
		}
		p.run(0, "tbx", "rm", "--force", name)
		p.clean(name, i)
	}
}

// killWithin starts a call and kills it, with all that it started, after a time; podman's
// service first, if services.
func (p *place) killWithin(after time.Duration, services bool, call ...string) {
	p.t.Helper()
	cmd := p.command(call...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(after)
	if services {
		p.killServices()
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}

// killServices kills the podman services of this place, and no other's.
func (p *place) killServices() {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range environs {
		env, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(env, []byte("XDG_DATA_HOME="+p.dir+"/data\x00")) {
			continue
		}
		dir := filepath.Dir(f)
		if cmdline, err := os.ReadFile(dir + "/cmdline"); err == nil && bytes.Contains(cmdline, []byte("podman\x00system\x00service")) {
			if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}
