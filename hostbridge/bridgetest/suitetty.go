package bridgetest

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/ptytest"
)

func clientKilledTTY(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", "sleep 1000 & echo $!; echo $$; wait")
	tty := startTTY(t, cmd)
	child, leader := PidFrom(t, tty), PidFrom(t, tty)
	cmd.Process.Kill()
	cmd.Wait()
	Eventually(t, "the command and its child are gone", func() bool { return Gone(leader) && Gone(child) })
}

// startTTY starts a client with a terminal of 33 rows and 101 columns.
func startTTY(t testing.TB, cmd *exec.Cmd) *terminal {
	t.Helper()
	tty, err := ptytest.Start(cmd, 33, 101)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return &terminal{File: tty}
}

// expect reads from a terminal until text has come, and leaves what follows.
func expect(t testing.TB, tty *terminal, text string) string {
	t.Helper()
	tty.SetReadDeadline(time.Now().Add(30 * time.Second))
	defer tty.SetReadDeadline(time.Time{})
	var got []byte
	for b := make([]byte, 1); !bytes.HasSuffix(got, []byte(text)); got = append(got, b...) {
		if _, err := tty.Read(b); err != nil {
			t.Fatalf("%q did not come: %v; got %q", text, err, got)
		}
	}
	return string(got)
}

func ttyBasics(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `tty; stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; ps -o tty= -p $$; exit 7`)
	tty := startTTY(t, cmd)
	out, _ := io.ReadAll(tty) // to EIO
	cmd.Wait()
	for _, want := range []string{"/dev/pts/", "33 101\r\n", "all\r\n", "\npts/"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("terminal says %q, without %q", out, want)
		}
	}
	if cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v", cmd.ProcessState)
	}
	// Only what is a terminal is replaced: 2>file stays apart and byte-exact.
	cmd = b.Client("sh", "-c", "echo out; echo err >&2")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	tty = startTTY(t, cmd)
	out, _ = io.ReadAll(tty)
	cmd.Wait()
	if string(out) != "out\r\n" || stderr.String() != "err\n" {
		t.Errorf("terminal %q, stderr %q", out, stderr.String())
	}
}

func resize(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `trap 'stty size' WINCH; echo ready; while [ "$(stty size)" != "50 60" ]; do sleep 0.05; done; echo done`)
	tty := startTTY(t, cmd)
	expect(t, tty, "ready")
	for i := range 40 { // a storm; the last one counts
		setSize(t, tty, 20+i, 80)
	}
	setSize(t, tty, 50, 60)
	expect(t, tty, "done")
	cmd.Wait()
}

func interruptTTY(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done`)
	tty := startTTY(t, cmd)
	expect(t, tty, "ready")
	tty.Write([]byte{3}) // Ctrl-C
	expect(t, tty, "caught")
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("%v", cmd.ProcessState)
	}
	cmd = b.Client("sleep", "1000")
	tty = startTTY(t, cmd)
	awaitRaw(t, tty)
	tty.Write([]byte{28}) // Ctrl-\
	io.Copy(io.Discard, tty)
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGQUIT {
		t.Errorf("Ctrl-\\: %v", cmd.ProcessState)
	}
	// A script around it ends too, as it would around any command.
	sleep := b.Client("sleep", "1000")
	script := exec.Command("sh", "-c", quoted(sleep.Args)+"; echo went on")
	script.Env, script.Dir = sleep.Env, b.Shared
	tty = startTTY(t, script)
	awaitRaw(t, tty)
	tty.Write([]byte{3})
	if out, _ := io.ReadAll(tty); strings.Contains(string(out), "went on") {
		t.Errorf("after Ctrl-C the script goes on: %q", out)
	}
	script.Wait()
}

// stopAndContinue plays an interactive shell in the toolbox.
func stopAndContinue(t *testing.T, b *Bridge) {
	c := b.Client("sh", "-c", `echo started; read x; echo "read $x"`)
	sh := exec.Command("bash", "--norc", "--noprofile", "-i")
	sh.Env = append(c.Env, "PS1=PROMPT> ")
	sh.Dir = b.Shared
	tty := startTTY(t, sh)
	expect(t, tty, "PROMPT> ")
	fmt.Fprintf(tty, "%s\n", quoted(c.Args))
	expect(t, tty, "started\r\n")
	for range 3 {
		tty.Write([]byte{26}) // Ctrl-Z
		expect(t, tty, "Stopped")
		expect(t, tty, "PROMPT> ")
		io.WriteString(tty, "stty -a | grep -o -- ' icanon'; jobs\n") // the terminal is as it was
		if out := expect(t, tty, "Stopped"); !strings.Contains(out, "\r icanon\r\n") {
			t.Errorf("after Ctrl-Z the terminal is not as it was: %q", out)
		}
		expect(t, tty, "PROMPT> ")
		io.WriteString(tty, "fg\n")
		awaitRaw(t, tty)
	}
	io.WriteString(tty, "hello\n")
	expect(t, tty, "read hello")
	expect(t, tty, "PROMPT> ")
	// In the background it stops when it reads, and can be brought back.
	fmt.Fprintf(tty, "%s &\n", quoted(c.Args))
	expect(t, tty, "started\r\n")
	Eventually(t, "the job in the background stops for input", func() bool {
		io.WriteString(tty, "jobs\n")
		return strings.Contains(expect(t, tty, "PROMPT> "), "Stopped")
	})
	io.WriteString(tty, "fg\n")
	awaitRaw(t, tty)
	io.WriteString(tty, "again\r") // its terminal is not that of the line editor, which was in use when it began
	expect(t, tty, "read again")
	expect(t, tty, "PROMPT> ")
	io.WriteString(tty, "exit\n")
	sh.Wait()
}

// awaitRaw waits until the client has taken over the terminal.
func awaitRaw(t testing.TB, tty *terminal) {
	t.Helper()
	Eventually(t, "the terminal is raw", func() bool { return isRaw(tty) })
}

func quoted(args []string) string {
	var out []string
	for _, a := range args {
		out = append(out, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	return strings.Join(out, " ")
}

// What a program asks for without echo, as a password, is not shown.
func hiddenInput(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `stty -echo; printf 'Password: '; read x; stty echo; echo; echo "got $x"`)
	tty := startTTY(t, cmd)
	expect(t, tty, "Password: ")
	io.WriteString(tty, "hunter2\r")
	if out := expect(t, tty, "got hunter2\r\n"); strings.Count(out, "hunter2") != 1 {
		t.Errorf("it was shown: %q", out)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// In a pipeline the terminal is the other program's, until the host's reads it.
func pipeline(t *testing.T, b *Bridge) {
	c := b.Client("sh", "-c", `echo "a line"; echo "to the terminal" >/dev/tty; read x </dev/tty; echo "got $x"`)
	sh := exec.Command("bash", "--norc", "-c", quoted(c.Args)+" | cat")
	sh.Env, sh.Dir = c.Env, b.Shared
	tty := startTTY(t, sh)
	out := expect(t, tty, "to the terminal\r\n")
	if strings.Contains(out, "\r\r\n") {
		t.Errorf("line ends doubled: %q", out)
	}
	awaitRaw(t, tty)
	io.WriteString(tty, "word\r")
	expect(t, tty, "got word")
	if err := sh.Wait(); err != nil {
		t.Error(err)
	}
}

func nothingLost(t *testing.T, b *Bridge) {
	for i := range 60 {
		cmd := b.Client("seq", "1", "20000")
		tty := startTTY(t, cmd)
		out, _ := io.ReadAll(tty)
		cmd.Wait()
		lines := strings.Split(strings.TrimSuffix(string(out), "\r\n"), "\r\n")
		if len(lines) != 20000 || lines[19999] != "20000" {
			t.Fatalf("run %d: %d lines, the last is %q", i, len(lines), lines[len(lines)-1])
		}
		tty.Close()
	}
}

func grandchildHoldsTTY(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `trap "" HUP; sleep 1000 & echo $!; seq 1 5000; exit 3`)
	tty := startTTY(t, cmd)
	child := PidFrom(t, tty)
	defer syscall.Kill(child, syscall.SIGKILL)
	out, _ := io.ReadAll(tty)
	cmd.Wait() // the point: it returns
	if cmd.ProcessState.ExitCode() != 3 || !strings.HasSuffix(string(out), "\r\n5000\r\n") {
		t.Errorf("%v, output ends in %q", cmd.ProcessState, out[max(0, len(out)-20):])
	}
}
