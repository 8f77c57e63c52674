//go:build system

package system_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// probe is an attempt to reach the host from inside.
type probe struct {
	name    string // row of the table in docs/isolated.md, and what of it
	command string // for sh; $PORT, $PID and the like are filled in; it must succeed where the way is open
	root    bool
	open    bool // it is open from a default toolbox, which shows that the probe can see
	needs   string
}

func probes() []probe {
	keyctl := map[string]int{"amd64": 250, "arm64": 219}[runtime.GOARCH]
	return []probe{
		{name: "files: the home", command: `cat $HOME/$MARK/secret`, open: true},
		{name: "files: keys", command: `test -e $HOME/.ssh`, open: true},
		{name: "files: where the session looks for programs to start", command: `test -e $HOME/.config`, open: true},
		{name: "the host's files: the view", command: `test -e /run/host/etc`, open: true},
		{name: "the host's files: the view, by root", command: `test -e /run/host/etc`, root: true, open: true},
		{name: "the host's files: /tmp", command: `test -e /tmp/$MARK`, open: true},
		{name: "buses: a socket of the runtime directory", command: `test -S $RUN/$MARK.sock`, open: true},
		{name: "buses: the system's", command: `test -e /run/dbus/system_bus_socket`},
		{name: "podman.sock and agents: the runtime directory", command: `test -e $RUN/tbx || test -e $RUN/podman || test -e $RUN/systemd`, open: true},
		{name: "agents: abstract sockets", command: `grep -q "@$MARK" /proc/net/unix`, open: true},
		{name: "loopback", command: `exec 3<>/dev/tcp/127.0.0.1/$PORT`, open: true, needs: "bash"},
		{name: "loopback: by slirp4netns's gateway", command: `timeout 5 bash -c 'exec 3<>/dev/tcp/10.0.2.2/$PORT'`, needs: "bash"},
		{name: "loopback: by pasta's address of the host", command: `timeout 5 bash -c 'exec 3<>/dev/tcp/169.254.1.2/$PORT'`, needs: "bash"},
		{name: "processes: signals", command: `kill -0 $PID`, open: true},
		{name: "processes: signals, by root", command: `kill -0 $PID`, root: true},
		{name: "processes: /proc", command: `test -d /proc/$PID`, open: true},
		{name: "ipc: queues of its own", command: `test "$(readlink /proc/self/ns/ipc)" = "$IPC"`, open: true},
		{name: "devices", command: `test -e /dev/fuse || test -e /dev/kmsg || test -e /dev/net`, open: true},
		{name: "environment", command: `test -n "$SYSTEST_SECRET"`, open: true},
		{name: "mounts: as the user", command: `mount -t tmpfs x /mnt`},
		{name: "mounts: as root", command: `mount -t tmpfs x /mnt && umount /mnt`, root: true, open: true},
		{name: "X2 mounts: what tbx mounted, made writable", command: `mount -o remount,bind,rw /run/tbx/box`, root: true},
		{name: "X2 mounts: what tbx mounted, taken away", command: `umount /run/tbx/box`, root: true},
		{name: "X2 mounts: what tbx mounted, written to", command: `touch /run/tbx/box/x`, root: true},
		{name: "X2 mounts: in a user namespace", command: `unshare -Urm umount /run/tbx/box`},
		{name: "namespaces: user", command: `unshare -U true`, open: true},
		{name: "namespaces: mount, as root", command: `unshare -m true`, root: true, open: true},
		{name: "keyrings", command: fmt.Sprintf(`perl -e 'exit(syscall(%d, 0, -3, 0) < 0)'`, keyctl), open: true, needs: "perl"},
		{name: "io_uring", command: `perl -e '$p = "\0" x 120; exit(syscall(425, 1, $p) < 0)'`, needs: "perl"},
		{name: "rights: sudo", command: `sudo -n true`, open: true, needs: "sudo"},
		{name: "rights: capabilities of the user", command: `! grep -q '^CapEff:.0*$' /proc/self/status`},
		{name: "rights: new privileges", command: `! grep -q '^NoNewPrivs:.1$' /proc/self/status`, open: true},
		{name: "rights: no filter", command: `! grep -q '^Seccomp:.2$' /proc/self/status`, open: true},
	}
}

// TestX1Isolated tries every way of the table in docs/isolated.md from an
// isolated toolbox, where it must fail, and from a default one.
func TestX1Isolated(t *testing.T) {
	t.Parallel()
	for _, img := range []string{"debian", "busybox"} {
		t.Run(img, func(t *testing.T) {
			t.Parallel()
			mark := prefix + "x1-" + img
			expand := host(t, mark)
			for mode, flags := range map[string][]string{"isolated": {"--isolated"}, "open": nil} {
				name := mark + "-" + mode
				tbx(t, append(append([]string{"create", "--image", image(img)}, flags...), name)...)
				t.Cleanup(func() { tbx(t, "rm", "--force", name) })
				tbx(t, "run", name, "--", "true")
				for _, p := range probes() {
					if mode == "open" && !p.open || p.needs != "" && img != "debian" {
						continue
					}
					t.Run(mode+"/"+p.name, func(t *testing.T) {
						args := []string{"run", "--workdir", "/", name, "--"}
						if p.root {
							args = append([]string{"run", "--root"}, args[1:]...)
						}
						shell := "sh"
						if p.needs == "bash" {
							shell = "bash"
						}
						cmd := exec.Command("tbx", append(args, shell, "-c", expand(p.command))...)
						cmd.Env = append(passed(), "SYSTEST_SECRET=1")
						out, err := cmd.CombinedOutput()
						var exit *exec.ExitError
						switch {
						case mode == "open" && err != nil:
							t.Errorf("the probe sees nothing: %v\n%s", err, out)
						case mode == "isolated" && (!errors.As(err, &exit) || exit.ExitCode() == 125 || exit.ExitCode() == 127):
							t.Errorf("it can: %v\n%s", err, out)
						}
					})
				}
			}
		})
	}
}

// host puts what probes look for on the host, and returns what fills it into a command.
func host(t *testing.T, mark string) func(string) string {
	t.Helper()
	home, run := os.Getenv("HOME"), os.Getenv("XDG_RUNTIME_DIR")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(home, mark), 0o700))
	must(os.WriteFile(filepath.Join(home, mark, "secret"), []byte("hunter2\n"), 0o600))
	must(os.MkdirAll(filepath.Join(home, ".ssh"), 0o700))
	must(os.WriteFile("/tmp/"+mark, nil, 0o600))
	t.Cleanup(func() { os.RemoveAll(filepath.Join(home, mark)); os.Remove("/tmp/" + mark) })
	listen := func(network, address string) net.Listener {
		t.Helper()
		l, err := net.Listen(network, address)
		must(err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	listen("unix", filepath.Join(run, mark+".sock"))
	listen("unix", "@"+mark)
	_, port, err := net.SplitHostPort(listen("tcp", "127.0.0.1:0").Addr().String())
	must(err)
	ipc, err := os.Readlink("/proc/self/ns/ipc")
	must(err)
	return strings.NewReplacer("$MARK", mark, "$RUN", run, "$PORT", port, "$PID", fmt.Sprint(os.Getpid()), "$IPC", ipc).Replace
}

func tbx(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("tbx", args...)
	cmd.Env = passed()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tbx %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestX1IsolatedTerminal: the terminal is the toolbox's own, so that nothing typed
// into it by TIOCSTI reaches the host's shell.
func TestX1IsolatedTerminal(t *testing.T) {
	t.Parallel()
	name := prefix + "x1-terminal"
	tbx(t, "create", "--isolated", "--image", image("debian"), name)
	t.Cleanup(func() { tbx(t, "rm", "--force", name) })
	for _, flags := range [][]string{nil, {"--pty"}} {
		cmd := exec.Command("tbx", append(append([]string{"run"}, flags...), name, "--", "sh", "-c", "tty; stty size; exit 3")...)
		cmd.Env = append(passed(), "TERM=xterm")
		f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 77})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		io.Copy(&out, f) // EIO at the end
		f.Close()
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(out.String(), "/dev/pts/0\r\n") || !strings.Contains(out.String(), "33 77") {
			t.Errorf("%q: %v\n%s", flags, err, &out)
		}
	}
}
