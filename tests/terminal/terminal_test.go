//go:build system

package terminal_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// D62: a terminal has a name inside, the caller's the same as outside: the host's
// gpg-agent is told it too. It does not run beside TestD62_TerminalNumbers, which takes
// the low numbers away.
func TestD62_TerminalName(t *testing.T) {
	const script = `echo "name=$(tty)="; test -t 0 && echo "is=a terminal="; test -c "$(tty)" && echo "file=there="; : </dev/tty && echo "controlling=yes="`
	own := openPTY(t, nil, "tbx", "run", "--pty", box, "--", "sh", "-c", script)
	own.end(t)
	expect(t, own, "name=/dev/pts/[0-9]+=")
	expect(t, own, "file=there=")
	expect(t, own, "controlling=yes=")
	callers := openPTY(t, nil, "tbx", "run", box, "--", "sh", "-c", script)
	callers.end(t)
	expect(t, callers, "name=/dev/pts/[0-9]+=")
	expect(t, callers, "is=a terminal=")
	expect(t, callers, "file=there=")
	expect(t, callers, "controlling=yes=")

	both := openPTY(t, nil, "sh", "-c", `echo "host=$(tty)="; tbx run "$0" -- sh -c 'echo "in=$(tty)="; perl -MPOSIX -e "print qq(perl=), ttyname(0), qq(=\n)"; echo from inside >$(tty)'`, box)
	both.end(t)
	name := expect(t, both, "host=(/dev/pts/[0-9]+)=")[1]
	expect(t, both, "in="+name+"=\n")
	expect(t, both, "perl="+name+"=\n")
	expect(t, both, "from inside\n")
}

// D62: a number that another terminal had before it is no dead end, and one that is
// higher than any that the toolbox reserves has a name in the host view.
func TestD62_TerminalNumbers(t *testing.T) {
	t.Parallel()
	for range 3 {
		c := openPTY(t, nil, "tbx", "run", box, "--", "sh", "-c", `echo through the name >"$(tty)"`)
		c.end(t)
		expect(t, c, "through the name\n")
	}
	var held []*os.File
	defer func() {
		for _, f := range held {
			f.Close()
		}
	}()
	for len(held) < 80 {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, master, slave)
	}
	c := openPTY(t, nil, "tbx", "run", box, "--", "sh", "-c", `echo "name=$(tty)="; echo through the name >"$(tty)"; tty <&1; tty <&2`)
	c.end(t)
	if name := expect(t, c, "name=(.+)=")[1]; !strings.HasPrefix(name, "/run/host/dev/pts/") || strings.Count(c.shown(), name) != 3 {
		t.Errorf("%q", c.shown())
	}
	expect(t, c, "through the name\n")
}

func TestNoTerminal(t *testing.T) {
	t.Parallel()
	const script = `test -t 0 || echo in; test -t 1 || echo out; test -t 2 || echo err; (: </dev/tty) 2>/dev/null || echo none; cat`
	c := openPTY(t, nil, "tbx", "run", "--no-tty", box, "--", "sh", "-c", script)
	if st := c.end(t); st.ExitStatus() != 0 {
		t.Errorf("exit status %v", st)
	}
	if got := c.shown(); got != "in\nout\nerr\nnone\n" {
		t.Errorf("without a terminal: %q", got)
	}
}

// Big output arrives whole, to the last byte before the end.
func TestOutputThroughPTY(t *testing.T) {
	t.Parallel()
	c := openPTY(t, nil, "tbx", "run", "--pty", box, "--", "seq", "100000")
	c.end(t)
	if got := strings.Count(c.shown(), "\n"); got != 100000 || !strings.HasSuffix(c.shown(), "\n100000\n") {
		t.Errorf("%d lines, the last: %q", got, c.shown()[len(c.shown())-20:])
	}
}

// D74: a terminal that understands no escape sequences gets none.
func TestD74_DumbTerminal(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"dumb": {"TERM=dumb"}, "none": {"TERM="}, "no colour": {"TERM=xterm", "NO_COLOR=1"}} {
		c := openPTY(t, env, "tbx", "enter", box)
		expect(t, c, box)
		c.send("echo to the end; exit\r")
		c.end(t)
		raw := c.raw()
		switch sequences := regexp.MustCompile("\x1b\\]777;|\x1b\\]0;").FindAllString(raw, -1); {
		case name == "no colour" && len(sequences) == 0:
			t.Errorf("%s: the terminal is told nothing: %q", name, raw)
		case name != "no colour" && len(sequences) > 0:
			t.Errorf("%s: %q", name, raw)
		}
		if strings.Contains(raw, "\x1b[35m") || strings.Contains(raw, "\x1b[38;5") {
			t.Errorf("%s: the name is in colour: %q", name, raw)
		}
	}
}

// D77: a directory that host and toolbox both have is said to be the toolbox's, once.
func TestD77_OwnDirectory(t *testing.T) {
	t.Parallel()
	open := func(dir string) string {
		t.Helper()
		c := openPTY(t, nil, "sh", "-c", `cd "$1" && tbx run "$0" -- pwd`, box, dir)
		c.end(t)
		return c.shown()
	}
	const said = "is the toolbox's own"
	if got := open("/var/tmp"); !strings.Contains(got, "directory /var/tmp "+said) || !strings.Contains(got, "the host's is /run/host/var/tmp") {
		t.Errorf("the first time: %q", got)
	}
	if got := open("/var/tmp"); strings.Contains(got, said) {
		t.Errorf("again: %q", got)
	}
	if got := open("/tmp"); strings.Contains(got, said) {
		t.Errorf("of what is shared: %q", got)
	}
}

func push(name string) string {
	return fmt.Sprintf("\x1b]777;container;push;%s;toolbox;%d\x1b\\", name, os.Getuid())
}

func pop() string { return fmt.Sprintf("\x1b]777;container;pop;;;%d\x1b\\", os.Getuid()) }

// A terminal is told of the toolbox before the shell writes anything, and of
// its end.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	c := openPTY(t, nil, "tbx", "enter", box)
	expect(t, c, "⬢ "+box)
	c.send("exit\r")
	c.end(t)
	if out := c.raw(); !strings.HasPrefix(out, push(box)) || !strings.HasSuffix(out, pop()) || strings.Count(out, "]777;") != 2 {
		t.Errorf("the terminal got %q", out)
	}
	if !strings.Contains(c.raw(), "\x1b]0;"+box+": ") {
		t.Errorf("no title in %q", c.raw())
	}
}

func TestNoAnnouncement(t *testing.T) {
	t.Parallel()
	t.Run("run", func(t *testing.T) {
		c := openPTY(t, nil, "tbx", "run", box, "--", "echo", "hello")
		c.end(t)
		if got := c.raw(); got != "hello\r\n" {
			t.Errorf("the terminal got %q", got)
		}
	})
	t.Run("output to a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "out")
		c := openPTY(t, nil, "sh", "-c", "tbx enter "+box+" >"+file)
		c.send("echo in the file; exit\r")
		c.end(t)
		data, err := os.ReadFile(file)
		if err != nil || strings.Contains(c.raw()+string(data), "]777;") || !strings.Contains(string(data), "in the file") {
			t.Errorf("the terminal got %q, the file %q, %v", c.raw(), data, err)
		}
	})
	t.Run("configured", func(t *testing.T) {
		env := configured(t, "[terminal]\nannounce = false\ntitle = false\n")
		c := openPTY(t, env, "tbx", "enter", box)
		expect(t, c, "⬢ "+box)
		c.send("exit\r")
		c.end(t)
		if strings.Contains(c.raw(), "]777;") || strings.Contains(c.raw(), "]0;"+box) {
			t.Errorf("the terminal got %q", c.raw())
		}
	})
}

// configured returns an environment in which tbx has a configuration, and knows
// the same toolboxes.
func configured(t *testing.T, text string) []string {
	t.Helper()
	dir := t.TempDir()
	real := filepath.Join(os.Getenv("HOME"), ".config")
	err := os.Mkdir(filepath.Join(dir, "tbx"), 0o755)
	for _, step := range []error{
		err,
		os.WriteFile(filepath.Join(dir, "tbx/config.toml"), []byte(text), 0o644),
		os.Symlink(filepath.Join(real, "tbx/toolboxes"), filepath.Join(dir, "tbx/toolboxes")),
		os.Symlink(filepath.Join(real, "containers"), filepath.Join(dir, "containers")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return []string{"XDG_CONFIG_HOME=" + dir}
}

// The announcement is taken back, and the terminal is the host's shell's again,
// when the toolbox ends under the session.
func TestToolboxEndsUnderSession(t *testing.T) {
	for _, end := range []string{"stop", "rm --force"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			name := newBox(t, "ends-"+strings.Fields(end)[0], nil)
			c := shells[0].onHost(t, "pty").(*ptyConsole)
			shells[0].enter(t, c, name)
			job := sleep()
			c.send(strings.Join(job, " ") + "\r")
			pid := started(t, job...)
			if out, err := exec.Command("tbx", append(strings.Fields(end), name)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			gone(t, pid, "what ran in the toolbox")
			if got := ask(t, c, "back", "$TBX_TOOLBOX"); got != "" {
				t.Errorf("the shell is that of %q", got)
			}
			if out := c.raw(); strings.LastIndex(out, pop()) < strings.LastIndex(out, push(name)) || !strings.Contains(out, push(name)) {
				t.Errorf("the terminal got %q", out)
			}
		})
	}
}
