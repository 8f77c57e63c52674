//go:build system

package system_test

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/ptytest"
)

// TestX55_Hangup: when the terminal of an isolated toolbox's session goes away, at any
// moment of its life, tbx ends, and so does what ran on it.
func TestX55_Hangup(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x55", image("busybox"))
	c.inside(false, "true")
	for i, args := range [][]string{{"enter", c.name}, {"enter", "--root", c.name}, {"run", c.name, "--", "sleep", "1055"}, {"run", "--root", c.name, "--", "sleep", "1055"}} {
		for moment := range 8 {
			cmd := exec.Command("tbx", args...)
			cmd.Env = append(passed(), "TERM=xterm")
			terminal, err := ptytest.Start(cmd, 24, 80)
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, terminal)
			time.Sleep(time.Duration(moment*moment*40+i) * time.Millisecond)
			terminal.Close()
			killed := time.AfterFunc(time.Minute, func() {
				out, _ := exec.Command("ps", "-eo", "pid,ppid,stat,wchan:30,args", "--forest").CombinedOutput()
				t.Errorf("tbx %q, hung up at moment %d, does not end:\n%s", args, moment, out)
				cmd.Process.Kill()
			})
			cmd.Wait()
			killed.Stop()
		}
	}
	left := ""
	for range 100 {
		if left = first(try("podman", "top", c.name, "pid", "args")); strings.Count(left, "\n") <= 2 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error(fmt.Sprintf("sessions are left in it:\n%s", left))
}
