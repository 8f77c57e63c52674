//go:build system

package system_test

import (
	"io"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/ptytest"
)

// TestX55_Hangup: when the terminal of an isolated toolbox's session goes away, at any
// moment of its life, tbx ends, and so does what ran on it. podman alone would leave it.
func TestX55_Hangup(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x55", image("busybox"))
	c.inside(false, "true")
	for _, args := range [][]string{{"enter", c.name}, {"enter", "--root", c.name}, {"run", c.name, "--", "sleep", "1055"}, {"run", "--root", c.name, "--", "sleep", "1055"}} {
		for moment := range 6 {
			cmd := exec.Command("tbx", args...)
			cmd.Env = append(passed(), "TERM=xterm")
			terminal, err := ptytest.Start(cmd, 24, 80)
			must(t, err)
			go io.Copy(io.Discard, terminal)
			time.Sleep(time.Duration(moment*moment*40) * time.Millisecond)
			terminal.Close()
			endsSoon(t, cmd)
		}
	}
	c.nothingLeft()
}

// TestX55_Pipes: a session without a terminal ends when somebody ends tbx, as in an
// ordinary toolbox; what was put into a session of its own goes on.
func TestX55_Pipes(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x55-pipes", image("busybox"))
	c.inside(false, "setsid sleep 1056 </dev/null >/dev/null 2>&1 &")
	for _, root := range []string{"--root=false", "--root"} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			cmd := exec.Command("tbx", "run", root, c.name, "--", "sh", "-c", "sleep 1055 & echo runs; wait")
			cmd.Env = passed()
			out, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			io.ReadFull(out, make([]byte, len("runs")))
			must(t, cmd.Process.Signal(sig))
			endsSoon(t, cmd)
		}
	}
	c.nothingLeft("sleep 1056")
}

// endsSoon waits for a tbx that has lost its terminal, or was told to end.
func endsSoon(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	killed := time.AfterFunc(time.Minute, func() {
		all, _ := exec.Command("ps", "-eo", "pid,ppid,stat,wchan:30,args", "--forest").CombinedOutput()
		t.Errorf("%q does not end:\n%s", cmd.Args, all)
		cmd.Process.Kill()
	})
	defer killed.Stop()
	cmd.Wait()
}

// nothingLeft waits until nothing runs in the toolbox but its first process and but.
func (c *cell) nothingLeft(but ...string) {
	c.t.Helper()
	var left []string
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(100 * time.Millisecond) {
		left = lines(first(try("podman", "top", c.name, "args")))
		if len(left) == 2+len(but) && slices.Equal(left[2:], but) { // the heading, the first process
			return
		}
	}
	c.t.Errorf("these are left in it: %q", left)
}
