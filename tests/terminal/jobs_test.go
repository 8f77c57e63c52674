//go:build system

package terminal_test

import (
	"strings"
	"testing"
)

// A session is a job of the host's shell, and has jobs of its own.
func TestJobControl(t *testing.T) {
	for _, s := range shells {
		for kind := range kinds {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := s.onHost(t, kind)
				s.enter(t, c, box)
				if got := ask(t, c, "inside", "$TBX_TOOLBOX"); got != box {
					t.Fatalf("TBX_TOOLBOX is %q", got)
				}

				interrupted := sleep()
				c.send(strings.Join(interrupted, " ") + "\r")
				pid := started(t, interrupted...)
				becomes(t, pid, "in the foreground", isForeground)
				c.send("\x03")
				gone(t, pid, "a job after Ctrl-C")
				if got := ask(t, c, "interrupted", s.status); got != "130" {
					t.Errorf("exit code after Ctrl-C: %s", got)
				}

				stopped := sleep()
				c.send(strings.Join(stopped, " ") + "\r")
				pid = started(t, stopped...)
				becomes(t, pid, "in the foreground", isForeground)
				c.send("\x1a")
				becomes(t, pid, "stopped by Ctrl-Z", isStopped)
				c.send("bg\r")
				becomes(t, pid, "in the background after bg", isBackground)
				c.send("fg\r")
				becomes(t, pid, "in the foreground after fg", isForeground)
				c.send("\x03")
				gone(t, pid, "a job after fg and Ctrl-C")

				back := sleep()
				c.send(strings.Join(back, " ") + " &\r")
				pid = started(t, back...)
				becomes(t, pid, "in the background", isBackground)
				c.send("kill %1\r")
				gone(t, pid, "a background job after kill %1")

				c.send(s.suspend + "\r")
				if got := ask(t, c, "suspended", "$TBX_TOOLBOX"); got != "" {
					t.Fatalf("after suspend the shell is still that of %q", got)
				}
				c.send("fg\r")
				if got := ask(t, c, "resumed", "$TBX_TOOLBOX"); got != box {
					t.Fatalf("after fg the shell is that of %q", got)
				}
				c.send("exit\r") // fish loses the exit code of what fg brought back
				if got := ask(t, c, "out", "$TBX_TOOLBOX"); got != "" {
					t.Fatalf("exit does not leave the toolbox %s", got)
				}

				s.enter(t, c, box)
				c.send("exit 33\r")
				if got := ask(t, c, "left", s.status); got != "33" {
					t.Errorf("exit code of the session: %s", got)
				}

				s.enter(t, c, box)
				c.send("\x04")
				if got := ask(t, c, "eof", "$TBX_TOOLBOX"); got != "" {
					t.Errorf("Ctrl-D does not leave the toolbox %s", got)
				}

				job := sleep()
				c.send("tbx run " + box + " -- " + strings.Join(job, " ") + "\r")
				pid = started(t, job...)
				becomes(t, pid, "in the foreground", isForeground)
				c.send("\x1a")
				becomes(t, pid, "stopped by Ctrl-Z", isStopped)
				if got := ask(t, c, "meanwhile", "$TBX_TOOLBOX"); got != "" {
					t.Errorf("Ctrl-Z leads to toolbox %s", got)
				}
				c.send("bg\r")
				becomes(t, pid, "in the background after bg", isBackground)
				c.send("fg\r")
				becomes(t, pid, "in the foreground after fg", isForeground)
				c.send("\x03")
				gone(t, pid, "tbx run after fg and Ctrl-C")

				job = sleep()
				c.send("tbx run " + box + " -- " + strings.Join(job, " ") + "\r")
				pid = started(t, job...)
				becomes(t, pid, "in the foreground", isForeground)
				c.send("\x03")
				gone(t, pid, "tbx run after Ctrl-C")
				if got := ask(t, c, "run", s.status); got != "130" {
					t.Errorf("exit code of tbx run after Ctrl-C: %s", got)
				}
			})
		}
	}
}

// Ctrl-P is the shell's: podman's own detach key would hold it back.
func TestControlP(t *testing.T) {
	t.Parallel()
	c := shells[0].onHost(t, "pty")
	shells[0].enter(t, c, box)
	c.send("echo once-$((40+2))\r")
	expect(t, c, "once-42")
	c.send("\x10")
	expect(t, c, `(?s)once-42.*echo once-\$\(\(40\+2\)\)`)
	c.send("\r")
	expect(t, c, "(?s)once-42.*once-42")
}
