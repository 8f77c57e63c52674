//go:build systemroot

package hostbridge_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// Cases that take a second user, so root to become him. make systemroot runs them.

const stranger = 54321

// asStranger makes a command one of another user, who can execute this test.
func asStranger(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("", "tbxs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755)
	if own, _ := os.Executable(); cmd.Path == own {
		cmd.Path, cmd.Args[0] = program, program
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	return cmd
}

// self is this test program in a role, outside of any toolbox.
func self(t *testing.T, l *bridgetest.LocalSetup, role string, args ...string) *exec.Cmd {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(own, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TBX_TEST_ROLE=" + role, "TBX_BRIDGE=" + boxDir(l)}
	return cmd
}

// Another user finds the directories closed. Even if they were open, and he had
// the token, he is none of the toolbox's.
func TestB22_OtherUserIsTurnedAway(t *testing.T) {
	b := bridgetest.Local(t, nil)
	run := func() (string, int) {
		cmd := asStranger(t, self(t, b.Local, "client", "--cwd", "/", "true"))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run(); code != 125 || !strings.Contains(out, "permission denied") {
		t.Errorf("closed directories: %d %s", code, out)
	}
	box := boxDir(b.Local)
	for dir := box; dir != "/tmp"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	os.Chmod(box+"/token", 0o644)
	os.Chmod(box+"/sock", 0o666)
	if out, code := run(); code != 126 || !strings.Contains(out, "user "+strconv.Itoa(stranger)+", who does not belong to this toolbox") {
		t.Errorf("open directories: %d %s", code, out)
	}
	recs := b.Local.Audit()
	if len(recs) != 1 || recs[0].PeerUID != stranger || recs[0].Decision != hostbridge.Deny {
		t.Errorf("audit: %+v", recs)
	}
	// Nor may he register toolboxes or answer questions.
	ctl := asStranger(t, self(t, b.Local, "control", b.Local.Config.Dir()))
	os.Chmod(filepath.Join(b.Local.Config.Dir(), "agent", "ctl"), 0o666)
	if out, _ := ctl.CombinedOutput(); string(out) != "turned away\n" {
		t.Errorf("control socket: %s", out)
	}
}

// Each user has an agent, and they do not know of each other.
func TestB22_EachUserHasAnAgent(t *testing.T) {
	b := bridgetest.Local(t, nil)
	own, _ := os.Executable()
	cmd := asStranger(t, exec.Command(own, "-test.v", "-test.run", "^TestSuite$/^(ExitCodes|B10_TTY)$"))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=/tmp"}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "--- PASS: TestSuite/") != 2 {
		t.Errorf("another user's bridge: %v\n%s", err, out)
	}
	works(t, b)
}

// Who answers must be the directory's owner: not somebody else whose socket a
// link leads to.
func TestB7_SomebodyElseAnswers(t *testing.T) {
	b := bridgetest.Local(t, nil)
	dir, err := os.MkdirTemp("/tmp", "tbxo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chown(dir, stranger, stranger)
	os.Chmod(dir, 0o755)
	impostor := asStranger(t, self(t, b.Local, "impostor", dir+"/sock"))
	in, _ := impostor.StdinPipe()
	out, _ := impostor.StdoutPipe()
	if err := impostor.Start(); err != nil {
		t.Fatal(err)
	}
	defer impostor.Wait()
	defer in.Close()
	if n, err := out.Read(make([]byte, 6)); n == 0 {
		t.Fatal(err)
	}
	box := boxDir(b.Local)
	os.Remove(box + "/sock")
	os.Symlink(dir+"/sock", box+"/sock")
	if msg := b.Refused(t, 125, "true"); !strings.Contains(msg, "somebody else than the directory's owner answers") {
		t.Errorf("message %s", msg)
	}
}
