//go:build system

package system_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStranded ends podman's processes from outside, as a job that is ended does,
// or one who runs out of memory. Where nothing is left, the next call is as after a
// restart. Where a toolbox still runs, it can be entered, and nothing stops it that
// the user has not called.
func TestStranded(t *testing.T) {
	t.Parallel()
	runtime, err := os.MkdirTemp("", "systest-stranded") // podman's database remembers it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	for _, name := range []string{"bus", "systemd"} { // of whom crun wants a cgroup, where there are any
		if err := os.Symlink(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), name), filepath.Join(runtime, name)); err != nil {
			t.Fatal(err)
		}
	}
	p := newPlace(t, "XDG_RUNTIME_DIR="+runtime)
	t.Cleanup(func() { p.end(runtime, true) })
	const name = prefix + "stranded"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	p.run(0, "tbx", "run", name, "--", "true")

	for range 2 {
		p.end(runtime, true)
		if out, code := p.try("podman", "ps"); code == 0 || !strings.Contains(out, "podman system migrate") {
			t.Fatalf("podman is not stranded: %d\n%s", code, out)
		}
		if out := p.run(0, "tbx", "run", name, "--", "echo", "ran"); !strings.HasSuffix(out, "ran\n") || !strings.Contains(out, "tbx: warning: all processes of your containers and podman's own had ended") {
			t.Errorf("run: %q", out)
		}
		p.run(0, "podman", "ps")
	}
	p.end(runtime, true)
	if out := p.run(0, "tbx", "list"); !regexp.MustCompile(`(?m)^` + name + ` +(exited|stopped) `).MatchString(out) {
		t.Errorf("list:\n%s", out)
	}

	p.run(0, "tbx", "run", name, "--", "true")
	p.end(runtime, false)
	out := p.run(5, "tbx", "list")
	kill := regexp.MustCompile(`still running without them: ` + name + ` \(process ([0-9]+)\)`).FindStringSubmatch(out)
	if !strings.Contains(out, "cannot find its own processes") || kill == nil {
		t.Fatalf("list with a toolbox that runs:\n%s", out)
	}
	if strings.Contains(out, "kill") { // D7
		t.Errorf("what runs is to be killed:\n%s", out)
	}
	if out := p.run(0, "tbx", "run", name, "--", "echo", "ran"); out != "ran\n" {
		t.Errorf("run in the toolbox that runs: %q", out)
	}
	p.run(0, "kill", "-9", kill[1])
	p.run(0, "tbx", "run", name, "--", "true")
	p.run(0, "tbx", "rm", "--force", name)
}

// end kills podman's pause process, what has this runtime directory in its
// environment, and, if wanted, the containers' first processes, until none is there.
func (p *place) end(runtime string, containers bool) {
	firsts := map[int]bool{}
	states, _ := filepath.Glob(runtime + "/crun/*/status")
	for _, file := range states {
		var state struct{ PID int }
		if data, _ := os.ReadFile(file); json.Unmarshal(data, &state) == nil {
			firsts[state.PID] = true
		}
	}
	data, _ := os.ReadFile(runtime + "/libpod/tmp/pause.pid") // whose environment is not to be read
	pause, _ := strconv.Atoi(string(data))
	for range 100 {
		left := false
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range environs {
			environ, _ := os.ReadFile(file)
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if firsts[pid] && containers || !firsts[pid] && (pid == pause || bytes.Contains(environ, []byte("\x00XDG_RUNTIME_DIR="+runtime+"\x00"))) {
				left = syscall.Kill(pid, syscall.SIGKILL) == nil || left
			}
		}
		if !left {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.t.Error("some processes do not end")
}
