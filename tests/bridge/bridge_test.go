//go:build system

// Package bridge_test runs the suite of the bridge from real toolboxes.
package bridge_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// TestSystem runs the suite from real toolboxes: Debian, and busybox, whose C
// library is another and whose tools are few.
func TestSystem(t *testing.T) {
	for _, image := range []string{"debian", "busybox"} {
		t.Run(image, func(t *testing.T) {
			box := realBox(t, image)
			bridgetest.Run(t, func(*testing.T) *bridgetest.Bridge { return box })
		})
	}
}

// tbx is the program under test.
func tbx() string { return filepath.Join(os.Getenv("TBX_BIN"), "tbx") }

// From inside, tbx host status is the host's, with its code.
func TestHostStatusFromInside(t *testing.T) {
	box := realBox(t, "busybox")
	answer := func(cmd *exec.Cmd) (string, int) {
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(out), "\r", ""), cmd.ProcessState.ExitCode()
	}
	inside := box.Client("host", "status")
	inside.Args = slices.DeleteFunc(inside.Args, func(a string) bool { return a == "host-exec" })
	got, code := answer(inside)
	want, wantCode := answer(exec.Command(tbx(), "host", "status"))
	if got != want || code != wantCode || want == "" {
		t.Errorf("inside: %d %q, on the host: %d %q", code, got, wantCode, want)
	}
}

// The agent leaves the session of the tbx that started it to end with the logout.
func TestAgentLeavesTheSession(t *testing.T) {
	realBox(t, "busybox")
	out, err := exec.Command(tbx(), "agent", "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var agent struct{ Pid int }
	if err := json.Unmarshal(out, &agent); err != nil {
		t.Fatal(err)
	}
	cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(agent.Pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd/private"))
	if left := strings.Contains(string(cgroup), "/tbx-agent-"); left != (err == nil) {
		t.Errorf("with systemd %v, the agent is in %s", err == nil, cgroup)
	}
}

// client is tbx-box in a toolbox, by the name tbx.
const client = "/run/tbx/box/shims/tbx"

// realBox makes and starts a toolbox bridge-IMAGE.
func realBox(t *testing.T, image string) *bridgetest.Bridge {
	t.Helper()
	tbx, name := tbx(), "bridge-"+image
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	ref := "localhost/tbx-bridge-" + image
	run("podman", "import", filepath.Join(os.Getenv("TBX_IMAGES"), image+".tar"), ref)
	run(tbx, "create", "--yes", "--pull", "never", "--image", ref, name)
	t.Cleanup(func() { exec.Command(tbx, "rm", "--yes", "--force", name).Run() })
	run(tbx, "run", name, "--", "true")
	shared, err := os.MkdirTemp(os.Getenv("HOME"), "bridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	b := &bridgetest.Bridge{Shared: shared}
	b.Client = func(args ...string) *exec.Cmd {
		cmd := exec.Command(tbx, append([]string{"run", "--workdir", shared, name, "--", client, "host-exec"}, args...)...)
		cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "TERM=") || strings.HasPrefix(kv, "TZ=") })
		cmd.Env = append(cmd.Env, "TERM=xterm")
		return cmd
	}
	b.Setenv = func(cmd *exec.Cmd, vars ...string) {
		for _, kv := range vars {
			cmd.Args = slices.Insert(cmd.Args, 2, "--env", kv)
		}
	}
	return b
}
