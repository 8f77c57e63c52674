//go:build system

package terminal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoBridge: a bridge that cannot be had is no reason to stay outside. Who
// enters is told why and what to do, once; the output of a command is its own; and
// tbx host-exec says where to look.
func TestNoBridge(t *testing.T) {
	own, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	// The bridge of these directories, which is somebody else's: others may write to it.
	sum := sha256.Sum256([]byte(strings.Join([]string{own + "/.config/tbx", own + "/.local/share/tbx", state + "/tbx"}, "\x00")))
	bridge := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tbx", "bridge-"+hex.EncodeToString(sum[:4]))
	if err := os.Mkdir(bridge, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bridge) })
	if err := os.Chmod(bridge, 0o777); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_STATE_HOME=" + state}

	c := openPTY(t, env, "tbx", "enter", box)
	expect(t, c, `tbx: warning: host commands will not work in toolbox tbxterm: bridge directory \S+: it is not a private directory of this user\s+tbx: hint: remove it; tbx makes it again\n`)
	c.send("tbx host-exec id || echo code $?\n")
	expect(t, c, `(?s)tbx: cannot reach the bridge to the host: .*hint: .*tbx enter\s.*code 125`)
	c.send("exit\n")
	c.end(t)
	if n := strings.Count(c.shown(), "warning:"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, c.shown())
	}

	cmd := exec.Command("tbx", "run", box, "--", "echo", "hello")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "hello\n" {
		t.Errorf("%v: %q", err, out)
	}

	// Its hint is right.
	if err := os.RemoveAll(bridge); err != nil {
		t.Fatal(err)
	}
	c = openPTY(t, env, "tbx", "enter", box)
	c.send("tbx host-exec echo 'back' again; exit\n")
	expect(t, c, `\nback again`)
	c.end(t)
	if strings.Contains(c.shown(), "warning:") {
		t.Error(c.shown())
	}
}
