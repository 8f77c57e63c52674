//go:build system

package terminal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before it counts as not happening. It
// is no measure of speed: machines may be slow.
const patience = 60 * time.Second

// await polls until ok, and fails the test with what when that never comes.
func await(t *testing.T, what func() string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what())
		}
	}
}

func text(s string) func() string { return func() string { return s } }

// process is what proc_pid_stat(5) says of one process.
type process struct {
	pid, group, session, tty int
	terminalGroup            int // the foreground group of its terminal; -1 without terminal
	state                    byte
	started                  string
}

// look returns ok false when the process is gone, or a zombie.
func look(pid int) (p process, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	num := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	p = process{pid: pid, state: f[0][0], group: num(2), session: num(3), tty: num(4), terminalGroup: num(5), started: f[19]}
	return p, p.state != 'Z' && p.state != 'X'
}

func (p process) foreground() bool { return p.tty != 0 && p.group == p.terminalGroup }

// find returns the pids of all processes whose arguments are args.
func find(args ...string) []int {
	var out []int
	want := strings.Join(args, "\x00") + "\x00"
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && string(data) == want {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if _, ok := look(pid); ok {
				out = append(out, pid)
			}
		}
	}
	return out
}

var sleeps atomic.Int64

// sleep is a command that lasts and that find tells from all others.
func sleep() []string {
	return []string{"sleep", fmt.Sprintf("%d.%d", 70000+sleeps.Add(1), os.Getpid())}
}

// started waits for the one process with these arguments.
func started(t *testing.T, args ...string) int {
	t.Helper()
	var pids []int
	await(t, func() string { return fmt.Sprintf("%v did not start", args) }, func() bool {
		pids = find(args...)
		return len(pids) == 1
	})
	t.Cleanup(func() { // only if the test failed, or meant it to stay
		for _, pid := range find(args...) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pids[0]
}

// becomes waits until the process is as the test wants it.
func becomes(t *testing.T, pid int, what string, ok func(process) bool) {
	t.Helper()
	await(t, func() string { p, _ := look(pid); return fmt.Sprintf("process is not %s: %+v", what, p) }, func() bool {
		p, alive := look(pid)
		return alive && ok(p)
	})
}

func gone(t *testing.T, pid int, what string) {
	t.Helper()
	await(t, func() string { p, _ := look(pid); return fmt.Sprintf("%s is still there: %+v", what, p) }, func() bool {
		_, alive := look(pid)
		return !alive
	})
}

func isStopped(p process) bool { return p.state == 'T' }
func isForeground(p process) bool {
	return p.state != 'T' && p.foreground()
}
func isBackground(p process) bool { return p.state != 'T' && !p.foreground() }

// inSession returns the processes of a session.
func inSession(session int) []int {
	var out []int
	files, _ := filepath.Glob("/proc/[0-9]*")
	for _, f := range files {
		pid, _ := strconv.Atoi(filepath.Base(f))
		if p, ok := look(pid); ok && p.session == session {
			out = append(out, pid)
		}
	}
	return out
}
