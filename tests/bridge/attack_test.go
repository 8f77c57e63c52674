//go:build system

package bridge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// Cases of the attack list that a process in namespaces of its own, which plays
// the toolbox in hostbridge, cannot show: other users, other toolboxes, a stop.

// TestAttacks tries them in one toolbox, the one that stops it last.
func TestAttacks(t *testing.T) {
	const name = "bridge-debian"
	box := realBox(t, "debian")
	// in is a command in the toolbox, by `tbx run` with more flags.
	in := func(flags []string, argv ...string) *exec.Cmd {
		return exec.Command(tbx(), slices.Concat([]string{"run", "--workdir", box.Shared}, flags, []string{name, "--"}, argv)...)
	}
	t.Run("B6_AnotherUserInside", func(t *testing.T) {
		cmd := in([]string{"--root"}, "setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", client, "host-exec", "--cwd", "/", "true")
		wants(t, cmd, 125, "permission denied")
	})
	t.Run("B6_TokenOfAnotherToolbox", func(t *testing.T) {
		realBox(t, "busybox")
		var dirs [2]string // of the bridge, as both toolboxes and the host see them
		for i, box := range []string{name, "bridge-busybox"} {
			out, err := exec.Command(tbx(), "run", "--workdir", "/", box, "--", "sh", "-c", "echo $TBX_BRIDGE").Output()
			if err != nil {
				t.Fatal(err)
			}
			dirs[i] = strings.TrimSpace(string(out))
		}
		var mixed []string // a directory with the socket of one and the token of the other
		for i, dir := range dirs {
			m := filepath.Join(box.Shared, "mixed"+strconv.Itoa(i))
			token, err := os.ReadFile(dirs[1-i] + "/token")
			if err != nil {
				t.Fatal(err)
			}
			os.Mkdir(m, 0o700)
			os.Symlink(dir+"/sock", m+"/sock")
			if err := os.WriteFile(m+"/token", token, 0o600); err != nil {
				t.Fatal(err)
			}
			mixed = append(mixed, m)
		}
		for _, m := range mixed {
			wants(t, in(nil, "env", "TBX_BRIDGE="+m, client, "host-exec", "true"), 126, "does not carry this toolbox's token")
		}
	})
	t.Run("B8_NestedNamespace", func(t *testing.T) {
		cmd := in(nil, "unshare", "--user", "--mount", "--map-current-user", client, "host-exec", "echo", "nested")
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "nested\n" {
			t.Errorf("%v %s", err, out)
		}
		if rec := audit(t, name, "nested"); rec.NS != "foreign" || rec.Decision != hostbridge.Allow {
			t.Errorf("logged as %+v", rec)
		}
		if out, err := in(nil, client, "host-exec", "echo", "plain").CombinedOutput(); err != nil || string(out) != "plain\n" {
			t.Errorf("%v %s", err, out)
		}
		if rec := audit(t, name, "plain"); rec.NS != "own" {
			t.Errorf("logged as %+v", rec)
		}
	})
	bridgetest.RunPrograms(t, box)
	t.Run("B13_HostAndToolboxCallEachOther", func(t *testing.T) {
		bomb, count := filepath.Join(box.Shared, "bomb"), filepath.Join(box.Shared, "count")
		script := "#!/bin/sh\necho x >>" + count + "\nexec " + tbx() + " run " + name + " -- " + client + " host-exec " + bomb + "\n"
		if err := os.WriteFile(bomb, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		wants(t, box.Client(bomb), 125, "call each other in a loop")
		if n, _ := os.ReadFile(count); len(n) != 4*len("x\n") {
			t.Errorf("it came to the host %d times", len(n)/2)
		}
	})
	t.Run("B22_RootInside", func(t *testing.T) {
		isUser(t, in([]string{"--root"}, client, "host-exec", "id", "-un"))
	})
	t.Run("B22_SudoInside", func(t *testing.T) {
		isUser(t, in(nil, "sudo", client, "host-exec", "id", "-un"))
	})
	t.Run("B22_RootCallsTbxByName", func(t *testing.T) {
		isUser(t, in([]string{"--root"}, "tbx", "host-exec", "id", "-un"))
		isUser(t, in(nil, "sudo", "tbx", "host-exec", "id", "-un"))
		isUser(t, in(nil, "sudo", "-i", "tbx", "host-exec", "--cwd", "/", "id", "-un"))
	})
	t.Run("B22_SetuidCopy", func(t *testing.T) {
		make := in([]string{"--root"}, "sh", "-c", "cp "+client+" /usr/local/bin/id && chmod 4755 /usr/local/bin/id")
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		wants(t, in(nil, "/usr/local/bin/id"), 125, "refusing to run with another user's rights")
	})
	t.Run("B9_ToolboxStopped", func(t *testing.T) {
		cmd := box.Client("sh", "-c", "sleep 1000 & echo $!; echo $$; wait")
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var child, leader int
		if _, err := scan(out, &child, &leader); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command(tbx(), "stop", name).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, text)
		}
		cmd.Wait()
		bridgetest.Eventually(t, "the command and its child are gone", func() bool { return bridgetest.Gone(leader) && bridgetest.Gone(child) })
		if got := box.Output(t, "echo", "again"); got != "again\n" { // it starts the toolbox
			t.Errorf("after a new start: %q", got)
		}
	})
}

// wants runs a command that must fail so.
func wants(t *testing.T, cmd *exec.Cmd, code int, text string) {
	t.Helper()
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), text) {
		t.Errorf("%v %s", cmd.ProcessState, out)
	}
}

// isUser runs a command that must print this user's name.
func isUser(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	want, _ := exec.Command("id", "-un").Output()
	if err != nil || string(out) != string(want) {
		t.Errorf("%v %s", err, out)
	}
}

// scan reads one number of each line.
func scan(r io.Reader, to ...*int) (n int, err error) {
	for _, p := range to {
		var line []byte
		for b := make([]byte, 1); ; line = append(line, b...) {
			if _, err := r.Read(b); err != nil {
				return n, err
			}
			if b[0] == '\n' {
				break
			}
		}
		if *p, err = strconv.Atoi(string(line)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// audit is the last request of a toolbox in the log that has that argument.
func audit(t *testing.T, box, arg string) hostbridge.AuditEntry {
	t.Helper()
	out, err := exec.Command(tbx(), "audit", "--format", "json", "--toolbox", box).Output()
	if err != nil {
		t.Fatal(err)
	}
	var last hostbridge.AuditEntry
	for line := range bytes.Lines(out) {
		var rec hostbridge.AuditEntry
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if slices.Contains(rec.Argv, arg) {
			last = rec
		}
	}
	return last
}

// A host command is run by the installed tbx-box, whatever lies where toolboxes find
// theirs: that directory is in the home, which a toolbox may share. The agent holds the
// file open, and starts it by its descriptor.
func TestS13_RunnerIsTheInstalledProgram(t *testing.T) {
	box := realBox(t, "busybox")
	installed, err := filepath.EvalSymlinks(filepath.Join(os.Getenv("TBX_BIN"), "tbx-box"))
	if err != nil {
		t.Fatal(err)
	}
	runner := func() string {
		t.Helper()
		return strings.TrimSpace(box.Output(t, "sh", "-c", "readlink /proc/$PPID/exe"))
	}
	if got := runner(); got != installed {
		t.Errorf("the runner is %s, want %s", got, installed)
	}
	copies, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box/*/tbx-box"))
	if len(copies) == 0 {
		t.Fatal("toolboxes have no tbx-box")
	}
	for _, file := range copies {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			os.Remove(file)
			os.WriteFile(file, old, 0o755)
		})
		os.Remove(file)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n[ -e /run/.containerenv ] || echo plant >>/tmp/plant-ran\nexit 99\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(tbx(), "agent", "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var agent struct{ Pid int }
	if err := json.Unmarshal(out, &agent); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(agent.Pid, syscall.SIGKILL)
	bridgetest.Eventually(t, "another agent serves the toolbox", func() bool {
		exec.Command(tbx(), "run", "bridge-busybox", "true").Run()
		out, _ := box.Client("echo", "served").Output() // the plant, which the client is too, says nothing
		return string(out) == "served\n"
	})
	if got := runner(); got != installed {
		t.Errorf("with a plant in the home the runner is %s, want %s", got, installed)
	}
	if _, err := os.Stat("/tmp/plant-ran"); err == nil {
		t.Error("the plant was run on the host")
	}
}
