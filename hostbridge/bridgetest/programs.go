package bridgetest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RunPrograms uses programs of the host that need a terminal as it should be:
// vi, less, tmux and ssh-keygen.
func RunPrograms(t *testing.T, b *Bridge) {
	t.Run("B10_Passphrase", func(t *testing.T) { passphrase(t, b) })
	t.Run("B10_Vi", func(t *testing.T) { vi(t, b) })
	t.Run("B10_LessQuitEarly", func(t *testing.T) { lessQuitEarly(t, b) })
	t.Run("B10_Tmux", func(t *testing.T) { tmux(t, b) })
}

// ssh-keygen asks as sudo and su do: on /dev/tty, with the echo turned off,
// whatever its own streams are.
func passphrase(t *testing.T, b *Bridge) {
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "hunter2", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.CreateTemp(b.Shared, "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := b.Client("ssh-keygen", "-y", "-f", key)
	cmd.Stdout = out
	tty := startTTY(t, cmd)
	expect(t, tty, "passphrase")
	awaitRaw(t, tty)
	io.WriteString(tty, "hunter2\r")
	rest, _ := io.ReadAll(tty)
	if err := cmd.Wait(); err != nil || strings.Contains(string(rest), "hunter2") {
		t.Errorf("%v, the terminal shows %q", err, rest)
	}
	kind, _, _ := strings.Cut(string(public), " tbx")
	if got, _ := os.ReadFile(out.Name()); !strings.HasPrefix(string(got), strings.Join(strings.Fields(kind)[:2], " ")) {
		t.Errorf("the key is %q, want %q", got, public)
	}
}

func vi(t *testing.T, b *Bridge) {
	file := filepath.Join(b.Shared, "letter")
	cmd := b.Client("vi", file)
	tty := startTTY(t, cmd)
	awaitRaw(t, tty)
	expect(t, tty, "letter")
	io.WriteString(tty, "ihello from inside\x1b:wq\r")
	io.Copy(io.Discard, tty)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "hello from inside\n" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// Its input ends with it: what writes there has nobody to write to any more.
func lessQuitEarly(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `seq 1 100000000 | less; echo "left $?"`)
	tty := startTTY(t, cmd)
	expect(t, tty, "20\r\n")
	awaitRaw(t, tty)
	io.WriteString(tty, "q")
	expect(t, tty, "left 0")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A session of tmux outlives the client that made it, and another attaches.
func tmux(t *testing.T, b *Bridge) {
	name := filepath.Base(b.Shared)
	t.Cleanup(func() { b.Client("tmux", "-L", name, "kill-server").Run() })
	conf := filepath.Join(b.Shared, "tmux.conf") // else what comes within a millisecond is taken for pasted, not for keys
	if err := os.WriteFile(conf, []byte("set -g assume-paste-time 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := b.Client("tmux", "-L", name, "-f", conf, "new-session", "sh", "-c", `stty size; while read x; do echo "got $x"; done`)
	tty := startTTY(t, cmd)
	expect(t, tty, "32 101") // of 33 rows, one is the status line
	io.WriteString(tty, "word\r")
	expect(t, tty, "got word")
	io.WriteString(tty, "\x02d") // detach
	expect(t, tty, "[detached")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	cmd = b.Client("tmux", "-L", name, "attach")
	tty = startTTY(t, cmd)
	expect(t, tty, "got word")
	io.WriteString(tty, "\x04") // the end of its input
	expect(t, tty, "[exited]")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
