//go:build system

package terminal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sizes prints the terminal's size whenever it changes.
const sizes = `trap 'echo "size=$(stty size)="' WINCH; echo "begin=$(stty size)="; while :; do sleep 0.05; done`

func TestResize(t *testing.T) {
	for _, args := range [][]string{{"run"}, {"run", "--pty"}} {
		for kind := range kinds {
			t.Run(strings.Join(args, "")+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := kinds[kind](t, nil, append(append([]string{"tbx"}, args...), box, "--", "bash", "-c", sizes)...)
				expect(t, c, "begin=30 100=")
				c.resize(77, 21)
				expect(t, c, "size=21 77=")
				c.resize(120, 40)
				expect(t, c, "size=40 120=")
			})
		}
	}
}

func TestVim(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "letter.txt")
	c := shells[0].onHost(t, "tmux").(*tmuxConsole)
	c.send("tbx run " + box + " -- vim -u NONE -N " + file + "\r")
	expect(t, c, `letter\.txt" \[New\]`)
	c.send("ihello from inside\x1b")
	c.resize(70, 20)
	await(t, func() string { return "vim does not know the new size:\n" + c.visible() }, func() bool {
		c.send(":echo 'columns=' .. &columns .. '='\r") // again: with the new size vim draws anew, without what was said before
		time.Sleep(100 * time.Millisecond)
		return strings.Contains(c.shown(), "columns=70=")
	})
	c.send("\x1a")
	expect(t, c, "Stopped") // until then vim reads what is typed
	if got := ask(t, c, "stopped", "$TBX_TOOLBOX"); got != "" {
		t.Errorf("Ctrl-Z in vim leads to toolbox %s", got)
	}
	c.send("fg\r")
	await(t, func() string { return "vim does not come back:\n" + c.visible() }, func() bool {
		return strings.HasPrefix(c.visible(), "hello from inside\n~")
	})
	c.send(":wq\r")
	await(t, func() string { return "vim does not end:\n" + c.visible() }, func() bool {
		return strings.HasSuffix(strings.TrimSpace(c.visible()), "$") // until then vim reads what is typed
	})
	if got := ask(t, c, "vim", "$?"); got != "0" {
		t.Errorf("exit code of vim: %s", got)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "hello from inside\n" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// less reads the text from a pipe and the keys from the terminal.
func TestLess(t *testing.T) {
	t.Parallel()
	c := shells[0].onHost(t, "tmux").(*tmuxConsole)
	shows := func(line string) {
		t.Helper()
		await(t, func() string { return "less does not show " + line + ":\n" + c.visible() }, func() bool {
			return strings.HasPrefix(c.visible(), line+"\n")
		})
	}
	c.send("seq 500 | tbx run " + box + " -- less\r")
	shows("1")
	c.send(" ")
	shows("30")
	c.resize(100, 11)
	await(t, func() string { return "less does not follow the resize:\n" + c.visible() }, func() bool {
		return strings.Count(strings.TrimRight(c.visible(), "\n"), "\n") <= 10 && strings.HasSuffix(strings.TrimRight(c.visible(), "\n"), ":")
	})
	// Again: less drops what is being typed when it learns of the size, which the test cannot see.
	await(t, func() string { return "less does not find 250:\n" + c.visible() }, func() bool {
		c.send("\rg/^250$\r")
		time.Sleep(100 * time.Millisecond)
		return strings.HasPrefix(c.visible(), "250\n")
	})
	c.send("G")
	shows("491")
	c.send("q")
	if got := ask(t, c, "less", "$?"); got != "0" {
		t.Errorf("exit code of less: %s", got)
	}
}

// sudo with use_pty, its default from 1.9.14 on, runs the command on a terminal
// of its own.
func TestSudoPTY(t *testing.T) {
	t.Parallel()
	inside(t, nil, "echo 'Defaults use_pty' | sudo -n tee /etc/sudoers.d/use-pty")
	c := shells[0].onHost(t, "pty")
	shells[0].enter(t, c, box)
	c.send("sudo -n sh -c 'echo \"tty=$(tty)=\"; echo \"size=$(stty size)=\"'\r")
	expect(t, c, "tty=/dev/pts/[0-9]+=")
	expect(t, c, `size=30 100=[^$]*\$ `) // until then sudo reads what is typed
	job := sleep()
	c.send("sudo -n " + strings.Join(job, " ") + "\r")
	pid := started(t, job...)
	c.send("\x1a")
	becomes(t, pid, "stopped by Ctrl-Z", isStopped)
	expect(t, c, "Stopped") // until then sudo reads what is typed
	c.send("fg\r")
	becomes(t, pid, "running after fg", func(p process) bool { return !isStopped(p) })
	c.send("\x03")
	gone(t, pid, "a command of sudo after Ctrl-C")
	expect(t, c, `\^C[^$]*\$ `) // as above
	if got := ask(t, c, "sudo", "$?"); got != "130" {
		t.Errorf("exit code of sudo after Ctrl-C: %s", got)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "typescript")
	c := openPTY(t, nil, "tbx", "run", box, "--", "script", "-qec", "tty; stty size; exit 9", file)
	if st := c.end(t); st.ExitStatus() != 9 {
		t.Errorf("script ends with %d", st.ExitStatus())
	}
	expect(t, c, "/dev/pts/[0-9]+\n30 100\n")
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "30 100") {
		t.Errorf("the typescript holds %q, %v", data, err)
	}
}

// tmux in a toolbox: a server with terminals of the toolbox's own, which is left
// and found again.
func TestTmuxInside(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "inner")
	c := shells[0].onHost(t, "pty")
	tmux := "tbx run " + box + " -- tmux -S " + socket + " -f /dev/null "
	c.send(tmux + "new-session bash --norc\r")
	if got := ask(t, c, "inner", "$TBX_TOOLBOX $(tty | tr -d 0-9)"); got != box+" /dev/pts/" {
		t.Errorf("in tmux: %s", got)
	}
	c.resize(90, 25)
	await(t, text("tmux inside does not follow the size"), func() bool {
		out, _ := try(t, nil, "tbx", "run", box, "--", "tmux", "-S", socket, "display-message", "-p", "#{client_width}x#{client_height}")
		return strings.TrimSpace(out) == "90x25"
	})
	c.send("\x02d")
	expect(t, c, `\[detached`)
	if got := ask(t, c, "detached", "$TBX_TOOLBOX"); got != "" {
		t.Errorf("detaching leads to toolbox %s", got)
	}
	c.send(tmux + "attach\r")
	if got := ask(t, c, "attached", "$TBX_TOOLBOX"); got != box {
		t.Errorf("attached: in toolbox %q", got)
	}
	c.send("exit 0\r")
	expect(t, c, `\[exited\]`)
}
