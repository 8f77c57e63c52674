//go:build system

package terminal_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/internal/ptytest"
)

// console is a terminal in which a program runs.
type console interface {
	send(keys string)
	shown() string // all text so far, without escape sequences
	resize(cols, rows int)
	hangup() // close the window
}

// kinds are the consoles that behave differently enough for both to matter: a
// terminal emulator, and a bare pseudo-terminal with nobody behind it.
var kinds = map[string]func(t *testing.T, env []string, args ...string) console{
	"tmux": func(t *testing.T, env []string, args ...string) console { return openTmux(t, env, args...) },
	"pty":  func(t *testing.T, env []string, args ...string) console { return openPTY(t, env, args...) },
}

// expect waits until pattern is shown, and returns its groups.
func expect(t *testing.T, c console, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var m []string
	await(t, func() string { return fmt.Sprintf("%s is not shown:\n%s", pattern, c.shown()) }, func() bool {
		m = re.FindStringSubmatch(c.shown())
		return m != nil
	})
	return m
}

// ptyConsole is a bare pseudo-terminal.
type ptyConsole struct {
	master *os.File
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the program has ended and all was read

	mu  sync.Mutex
	out bytes.Buffer
}

func openPTY(t *testing.T, env []string, args ...string) *ptyConsole {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color"), env...)
	master, err := ptytest.Start(cmd, 30, 100)
	if err != nil {
		t.Fatal(err)
	}
	c := &ptyConsole{master: master, cmd: cmd, ended: make(chan struct{})}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			c.mu.Lock()
			c.out.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				break
			}
		}
		cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(func() {
		c.hangup()
		cmd.Process.Kill()
		<-c.ended
	})
	return c
}

func (c *ptyConsole) send(keys string) { c.master.WriteString(keys) }

func (c *ptyConsole) resize(cols, rows int) {
	ptytest.Resize(c.master, uint16(rows), uint16(cols))
}

func (c *ptyConsole) hangup() { c.master.Close() }

// raw returns every byte that was written to the terminal.
func (c *ptyConsole) raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// escapes matches the sequences of ECMA-48 and xterm.
var escapes = regexp.MustCompile("\x1b\\][^\a\x1b]*(\a|\x1b\\\\)|\x1b[\\[?=>()][0-9;?<=>]*[@-~]?|\x1bk[^\x1b]*\x1b\\\\|\x1b.|[\r\a\x0e\x0f]")

func (c *ptyConsole) shown() string { return escapes.ReplaceAllString(c.raw(), "") }

// end waits for the program's end and says how it came.
func (c *ptyConsole) end(t *testing.T) syscall.WaitStatus {
	t.Helper()
	await(t, func() string { return "the program does not end:\n" + c.shown() }, func() bool {
		select {
		case <-c.ended:
			return true
		default:
			return false
		}
	})
	return c.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// tmuxConsole is a window of tmux, with a server of its own.
type tmuxConsole struct {
	t      *testing.T
	socket string
}

func openTmux(t *testing.T, env []string, args ...string) *tmuxConsole {
	t.Helper()
	c := &tmuxConsole{t, fmt.Sprintf("/tmp/tbx-tmux-%d-%d", os.Getpid(), sleeps.Add(1))}
	call := []string{"-f", "/dev/null", "-u", "new-session", "-d", "-x", "100", "-y", "30", "--", "env"}
	c.tmux(append(append(call, env...), args...)...)
	t.Cleanup(func() {
		exec.Command("tmux", "-S", c.socket, "kill-server").Run()
		os.Remove(c.socket)
	})
	c.tmux("set-option", "-g", "window-size", "manual")
	return c
}

func (c *tmuxConsole) tmux(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", c.socket}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c *tmuxConsole) send(keys string) {
	c.t.Helper()
	args := []string{"send-keys", "-H"}
	for _, b := range []byte(keys) {
		args = append(args, hex.EncodeToString([]byte{b}))
	}
	c.tmux(args...)
}

func (c *tmuxConsole) shown() string {
	c.t.Helper()
	return c.tmux("capture-pane", "-p", "-J", "-S", "-", "-E", "-")
}

// visible is the text on the screen now.
func (c *tmuxConsole) visible() string { c.t.Helper(); return c.tmux("capture-pane", "-p") }

func (c *tmuxConsole) resize(cols, rows int) {
	c.t.Helper()
	c.tmux("resize-window", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows))
}

func (c *tmuxConsole) hangup() { c.t.Helper(); c.tmux("kill-pane") }

// A shell in which tests type.
type shell struct {
	name    string
	path    string
	bare    []string // interactive on the host, without the user's files
	status  string   // the variable that holds the last exit code
	suspend string   // the command that stops a login shell
}

var shells = []shell{
	{"bash", "/bin/bash", []string{"bash", "--norc", "--noprofile", "-i"}, "$?", "suspend -f"},
	{"zsh", "/bin/zsh", []string{"zsh", "-f", "-i"}, "$?", "suspend -f"},
	{"fish", "/usr/bin/fish", []string{"fish", "--no-config", "-i"}, "$status", "suspend --force"},
}

// onHost opens a console with the shell on the host, at its prompt.
func (s shell) onHost(t *testing.T, kind string, env ...string) console {
	t.Helper()
	c := kinds[kind](t, env, s.bare...)
	expect(t, c, `[$%>] ?\s*$`)
	return c
}

// ask types a command that prints the word with the value behind it, and
// returns the value. What the terminal echoes of the command cannot match. The
// word must be a new one.
func ask(t *testing.T, c console, word, value string) string {
	t.Helper()
	c.send("echo \"" + word + "=" + value + "=\"\r")
	return expect(t, c, `(?m)`+word+`=([^$=]*)=`)[1]
}

// enter types the command that enters the toolbox and waits for the prompt
// inside.
func (s shell) enter(t *testing.T, c console, name string) {
	t.Helper()
	before := strings.Count(c.shown(), "⬢ "+name+" ")
	c.send("env SHELL=" + s.path + " tbx enter " + name + "\r")
	await(t, func() string { return "no prompt of the toolbox:\n" + c.shown() }, func() bool {
		return strings.Count(c.shown(), "⬢ "+name+" ") > before
	})
}
