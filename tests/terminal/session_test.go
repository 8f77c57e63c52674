//go:build system

package terminal_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// status returns a line of a process's status, see proc_pid_status(5), as the
// host sees it.
func status(t *testing.T, pid int, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func TestPrivileges(t *testing.T) {
	t.Parallel()
	job := sleep()
	openPTY(t, nil, append([]string{"tbx", "run", box, "--"}, job...)...)
	pid := started(t, job...)
	for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		if got := status(t, pid, set); got != "0000000000000000" {
			t.Errorf("%s: %s", set, got)
		}
	}
	if got := status(t, pid, "NoNewPrivs"); got != "0" {
		t.Errorf("NoNewPrivs: %s", got)
	}
	if got := inside(t, nil, "sudo -n id -u"); got != "0" {
		t.Errorf("sudo is user %s", got)
	}
	if got := inside(t, nil, "sudo -n touch /usr/local/made && stat -c %U /usr/local/made"); got != "root" {
		t.Errorf("root's file belongs to %s", got)
	}
	if got := tbx(t, nil, "run", "--root", box, "--", "id", "-u"); got != "0\n" {
		t.Errorf("--root is user %s", got)
	}
}

// Supplementary groups are the caller's: a file that only such a group may read
// can be read inside.
func TestGroups(t *testing.T) {
	t.Parallel()
	group := host(t, "getent group audio | cut -d: -f3")
	file := filepath.Join(t.TempDir(), "for-the-group")
	asRoot(t, "echo secret >"+file+"; chown root:"+group+" "+file+"; chmod 640 "+file)
	t.Cleanup(func() { asRoot(t, "rm "+file) })
	if out, code := try(t, nil, "tbx", "run", box, "--", "cat", file); code == 0 {
		t.Fatalf("it can be read without the group: %s", out)
	}
	out := asRoot(t, fmt.Sprintf("exec setpriv --reuid=%d --regid=%d --groups=%d,%s --inh-caps=-all env HOME='%s' USER='%s' PATH='%s' XDG_RUNTIME_DIR='%s' tbx run %s -- cat %s",
		os.Getuid(), os.Getgid(), os.Getgid(), group, os.Getenv("HOME"), os.Getenv("USER"), os.Getenv("PATH"), os.Getenv("XDG_RUNTIME_DIR"), box, file))
	if out != "secret" {
		t.Errorf("inside: %s", out)
	}
}

func TestUmaskAndLimits(t *testing.T) {
	t.Parallel()
	for _, flags := range []string{"", "--pty ", "--no-tty "} {
		script := "umask 027; ulimit -Sn 1234; ulimit -Hn 4321; ulimit -c 0; exec tbx run " + flags + box +
			" -- sh -c 'echo \"limits=$(umask) $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)=\"'"
		c := openPTY(t, nil, "bash", "-c", script)
		c.end(t)
		if got := expect(t, c, "limits=(.*)=")[1]; got != "0027 1234 4321 0" {
			t.Errorf("%s: %s", flags, got)
		}
	}
}

// A session is in the cgroup of the toolbox's first process: that is what makes
// podman's pause, stop and rm hold for it.
func TestCgroup(t *testing.T) {
	t.Parallel()
	first := strings.TrimSpace(host(t, "podman inspect --format '{{.State.Pid}}' "+box))
	want := host(t, "cat /proc/"+first+"/cgroup")
	for _, flag := range []string{"--root=false", "--pty", "--no-tty", "--root"} {
		job := sleep()
		openPTY(t, nil, append([]string{"tbx", "run", flag, box, "--"}, job...)...)
		pid := started(t, job...)
		if got := host(t, "cat /proc/"+strconv.Itoa(pid)+"/cgroup"); got != want {
			t.Errorf("run %s: the session is in\n%s\nthe toolbox in\n%s", flag, got, want)
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil && !strings.Contains(want, "/libpod-") {
		t.Errorf("the toolbox has no cgroup of its own: %s", want)
	}
}

// A terminal whose description only the host has works inside, for root too.
func TestTerminfo(t *testing.T) {
	t.Parallel()
	const term = "TERM=foot"
	if _, err := exec.Command("infocmp", "foot").Output(); err != nil {
		t.Fatalf("the host must know the terminal foot (tests/lab/setup): %v", err)
	}
	if got := inside(t, nil, "test ! -e /usr/share/terminfo/f/foot -a ! -e /lib/terminfo/f/foot && echo unknown"); got != "unknown" {
		t.Fatal("the image knows the terminal foot, so this test shows nothing")
	}
	if got := inside(t, []string{term}, "infocmp foot >/dev/null && tput colors"); got != "256" {
		t.Errorf("colours: %s", got)
	}
	if got := inside(t, []string{term}, "sudo -n tput colors"); got != "256" {
		t.Errorf("colours for root: %s", got)
	}
	file := filepath.Join(t.TempDir(), "file")
	c := openPTY(t, []string{term}, "tbx", "run", box, "--", "vim", "-u", "NONE", "-c", "exe 'norm! ia' .. &term", "-c", "wq", file)
	c.end(t)
	if data, err := os.ReadFile(file); err != nil || string(data) != "afoot\n" {
		t.Errorf("vim's terminal: %q, %v\n%s", data, err, c.shown())
	}
}
