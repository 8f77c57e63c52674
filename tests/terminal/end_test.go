//go:build system

package terminal_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 2, 42, 125, 126, 127, 128, 130, 137, 255} {
		script := fmt.Sprintf("exit %d", code)
		for _, flag := range []string{"--root=false", "--pty", "--no-tty"} {
			c := openPTY(t, nil, "tbx", "run", flag, box, "--", "sh", "-c", script)
			if st := c.end(t); !st.Exited() || st.ExitStatus() != code {
				t.Errorf("run %s %s: %v", flag, script, st)
			}
		}
	}
}

// What dies by a signal is seen to: by the signal itself, as a shell's kill and
// a crash handler want it, or behind a proxy as 128+N.
func TestDeathBySignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGINT, syscall.SIGSEGV, syscall.SIGHUP} {
		script := fmt.Sprintf("ulimit -c 0; kill -%d $$", sig)
		c := openPTY(t, nil, "tbx", "run", box, "--", "bash", "-c", script)
		if st := c.end(t); !st.Signaled() || st.Signal() != sig {
			t.Errorf("run: %s: %v", sig, st)
		}
		for _, flag := range []string{"--pty", "--no-tty"} {
			c := openPTY(t, nil, "tbx", "run", flag, box, "--", "bash", "-c", script)
			if st := c.end(t); !st.Exited() || st.ExitStatus() != 128+int(sig) {
				t.Errorf("run %s: %s: %v", flag, sig, st)
			}
		}
	}
	c := openPTY(t, nil, "tbx", "enter", box)
	expect(t, c, "⬢ "+box)
	c.send("kill -KILL $$\r")
	if st := c.end(t); !st.Signaled() || st.Signal() != syscall.SIGKILL {
		t.Errorf("enter: %v", st)
	}
	c = openPTY(t, nil, "tbx", "enter", box)
	expect(t, c, "⬢ "+box)
	c.send("exit 44\r")
	if st := c.end(t); st.ExitStatus() != 44 {
		t.Errorf("enter: %v", st)
	}
}

// A signal for tbx is one for the command.
func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", box, "--"}, {"run", "--no-tty", box, "--"}, {"run", "--pty", box, "--"}} {
		job := sleep()
		c := openPTY(t, nil, append(append([]string{"tbx"}, args...), job...)...)
		pid := started(t, job...)
		c.cmd.Process.Signal(syscall.SIGTERM)
		gone(t, pid, strings.Join(args, " ")+": a command after SIGTERM")
		c.end(t)
	}
}

// When the window is closed nothing goes on but what was made to: setsid.
func TestHangup(t *testing.T) {
	for _, s := range shells {
		for kind := range kinds {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := s.onHost(t, kind)
				s.enter(t, c, box)
				back, kept, front := sleep(), sleep(), sleep()
				c.send(strings.Join(back, " ") + " &\r")
				c.send("setsid " + strings.Join(kept, " ") + " &\r")
				backPID, keptPID := started(t, back...), started(t, kept...)
				c.send(strings.Join(front, " ") + "\r")
				frontPID := started(t, front...)
				p, _ := look(frontPID)
				c.hangup()
				gone(t, frontPID, "the foreground job")
				gone(t, backPID, "the background job")
				gone(t, p.session, "the leader of the session")
				await(t, text("something of the session is left"), func() bool { return len(inSession(p.session)) == 0 })
				if _, ok := look(keptPID); !ok {
					t.Error("what was started with setsid is gone too")
				}
			})
		}
	}
	for _, flag := range []string{"--root=false", "--pty", "--no-tty"} {
		t.Run("run"+flag, func(t *testing.T) {
			t.Parallel()
			job := sleep()
			c := openPTY(t, nil, append([]string{"tbx", "run", flag, box, "--"}, job...)...)
			pid := started(t, job...)
			c.hangup()
			gone(t, pid, "the command")
			gone(t, c.cmd.Process.Pid, "tbx")
		})
	}
}

// Ctrl-C ends a command that has no terminal: it is the caller's.
func TestInterruptWithoutTerminal(t *testing.T) {
	t.Parallel()
	job := sleep()
	c := openPTY(t, nil, append([]string{"tbx", "run", "--no-tty", box, "--"}, job...)...)
	pid := started(t, job...)
	c.send("\x03")
	gone(t, pid, "the command after Ctrl-C")
	if st := c.end(t); st.ExitStatus() != 130 {
		t.Errorf("exit status %v", st)
	}
}
