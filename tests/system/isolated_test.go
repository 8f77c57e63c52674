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
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// probe is an attempt to reach the host from inside.
type probe struct {
	row     string // beginning of the row of the table in docs/isolated.md
	name    string
	command string // for sh; $PORT, $PID and the like are filled in; it must succeed where the way is open
	root    bool
	open    bool // it is open from a default toolbox, which shows that the probe can see
	needs   string
}

// reached succeeds if the kernel answers a system call with anything but EPERM,
// which is the filter's.
func reached(amd64, arm64 int, args string) string {
	nr := map[string]int{"amd64": amd64, "arm64": arm64}[runtime.GOARCH]
	return fmt.Sprintf(`perl -e 'exit(syscall(%d, %s) < 0 && $! == 1)'`, nr, args)
}

// there says whether this machine has a file, so that a default toolbox has it too.
func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// allowed says whether a setting of the kernel's that forbids something is 0, or not there.
func allowed(name string) bool {
	data, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return err != nil || strings.TrimSpace(string(data)) == "0"
}

func probes() []probe {
	const (
		files, view, buses, sockets = "your files", "the host's files", "session and system bus", "`podman.sock`"
		loopback, processes, sysv   = "services on this machine's loopback", "your processes", "System V"
		devices, env, commands      = "devices", "your environment", "commands of the host"
		rights, memory              = "mounts, namespaces", "memory, processes"
	)
	return []probe{
		{row: files, name: "the home", command: `cat $HOME/$MARK/secret`, open: true},
		{row: files, name: "keys", command: `test -e $HOME/.ssh`, open: true},
		{row: files, name: "where the session looks for programs to start", command: `test -e $HOME/.config`, open: true},
		{row: view, name: "/run/host", command: `test -e /run/host/etc`, open: true},
		{row: view, name: "/run/host, by root", command: `test -e /run/host/etc`, root: true, open: true},
		{row: view, name: "/tmp", command: `test -e /tmp/$MARK`, open: true},
		{row: buses, name: "a socket of the runtime directory", command: `test -S $RUN/$MARK.sock`, open: true},
		{row: buses, name: "the system's", command: `test -e /run/dbus/system_bus_socket`, open: there("/run/dbus/system_bus_socket")},
		{row: sockets, name: "the runtime directory", command: `test -e $RUN/tbx || test -e $RUN/podman || test -e $RUN/systemd`, open: true},
		{row: sockets, name: "abstract sockets", command: `grep -q "@$MARK" /proc/net/unix`, open: true},
		{row: loopback, name: "127.0.0.1", command: `exec 3<>/dev/tcp/127.0.0.1/$PORT`, open: true, needs: "bash"},
		{row: processes, name: "signals", command: `kill -0 $PID`, open: true},
		{row: processes, name: "signals, by root", command: `kill -0 $PID`, root: true},
		{row: processes, name: "/proc", command: `test -d /proc/$PID`, open: true},
		{row: processes, name: "ptrace", command: `perl -e 'exit(syscall(` + map[string]string{"amd64": "101", "arm64": "117"}[runtime.GOARCH] + `, 0x4206, $PID, 0, 0) < 0)'`, root: true, needs: "perl"},
		{row: sysv, name: "the host's namespace", command: `test "$(readlink /proc/self/ns/ipc)" = "$IPC"`, open: true},
		{row: devices, name: "of the host", command: `test -e /dev/fuse || test -e /dev/kmsg || test -e /dev/net`, open: true},
		{row: devices, name: "of its own making", command: `mknod /tmp/null c 1 3 && echo >/tmp/null`, root: true},
		{row: env, name: "a variable", command: `test -n "$SYSTEST_SECRET"`, open: true},
		{row: commands, name: "by the bridge", command: `$(ls /run/tbx/box/*/tbx-box | head -n 1) host-exec --cwd / true`, open: true},
		{row: commands, name: "by the bridge, by root", command: `$(ls /run/tbx/box/*/tbx-box | head -n 1) host-exec --cwd / true`, root: true},
		{row: rights, name: "mount", command: `mount -t tmpfs x /mnt`},
		{row: rights, name: "mount, by root", command: `mount -t tmpfs x /mnt && umount /mnt`, root: true, open: true},
		{row: rights, name: "X2 what tbx mounted, made writable", command: `mount -o remount,bind,rw /run/tbx/box`, root: true},
		{row: rights, name: "X2 what tbx mounted, taken away", command: `umount /run/tbx/box`, root: true},
		{row: rights, name: "X2 what tbx mounted, written to", command: `touch /run/tbx/box/x`, root: true},
		{row: rights, name: "X2 what tbx mounted, in a user namespace", command: `unshare -Urm umount /run/tbx/box`},
		{row: rights, name: "user namespaces", command: `unshare -U true`, open: true},
		{row: rights, name: "mount namespaces, by root", command: `unshare -m true`, root: true, open: true},
		{row: rights, name: "keyrings", command: reached(250, 219, "0, -3, 0"), open: true, needs: "perl"},
		{row: rights, name: "bpf", command: reached(321, 280, "-1, 0, 0"), root: true, open: true, needs: "perl"},
		{row: rights, name: "perf", command: reached(298, 241, "0, 0, -1, -1, 0"), open: true, needs: "perl"},
		{row: rights, name: "io_uring", command: reached(425, 425, "0, 0"), open: allowed("kernel.io_uring_disabled"), needs: "perl"},
		{row: rights, name: "userfaultfd", command: reached(323, 282, "-1"), root: true, open: true, needs: "perl"},
		{row: rights, name: "sudo", command: `sudo -n true`, open: true, needs: "sudo"},
		{row: rights, name: "capabilities of the user", command: `! grep -q '^CapEff:.0*$' /proc/self/status`},
		{row: rights, name: "new privileges", command: `! grep -q '^NoNewPrivs:.1$' /proc/self/status`, open: true},
		{row: rights, name: "no filter", command: `! grep -q '^Seccomp:.2$' /proc/self/status`, open: true},
		{row: memory, name: "open files", command: `test $(ulimit -Hn) = unlimited || test $(ulimit -Hn) -gt 65536`},
		{row: memory, name: "shared memory", command: `test $(df -Pk /dev/shm | awk 'NR == 2 {print $2}') -gt 65536`},
	}
}

// TestX1EveryRow: each row of the table is tried, and each probe is of a row.
func TestX1EveryRow(t *testing.T) {
	page, err := os.ReadFile("../../docs/isolated.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	table, _, _ := strings.Cut(string(page), "\n## ")
	for _, line := range strings.Split(table, "\n") {
		if rest, ok := strings.CutPrefix(line, "| "); ok && !strings.HasPrefix(rest, "way to the host") {
			rows = append(rows, rest)
		}
	}
	tried := map[string]bool{"your terminal": false} // by TestX1IsolatedTerminal
	for _, p := range probes() {
		tried[p.row] = false
	}
	for _, row := range rows {
		found := false
		for way := range tried {
			if strings.HasPrefix(row, way) {
				found, tried[way] = true, true
			}
		}
		if !found {
			t.Errorf("nothing tries: %s", row)
		}
	}
	for way, ok := range tried {
		if !ok {
			t.Errorf("the table has no row %q", way)
		}
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
				tbx(t, "start", name)
				for _, p := range probes() {
					if mode == "open" && !p.open || p.needs != "" && img != "debian" {
						continue
					}
					t.Run(mode+"/"+p.row+": "+p.name, func(t *testing.T) {
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
	onTerminal := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command("tbx", append([]string{"run", "--workdir", "/"}, args...)...)
		cmd.Env = append(passed(), "TERM=xterm")
		f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 77})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var out bytes.Buffer
		io.Copy(&out, f) // EIO at the end
		cmd.Wait()
		return out.String(), cmd.ProcessState.ExitCode()
	}
	for _, flags := range [][]string{nil, {"--pty"}} {
		out, code := onTerminal(append(flags, name, "--", "sh", "-c", "tty; stty size; exit 3")...)
		if code != 3 || !strings.Contains(out, "/dev/pts/0\r\n") || !strings.Contains(out, "33 77") {
			t.Errorf("%q: %d\n%s", flags, code, out)
		}
	}
	for range 10 { // podman itself tells the size when the command runs
		if out, code := onTerminal(name, "--", "stty", "size"); code != 0 || !strings.Contains(out, "33 77") {
			t.Errorf("size at the start: %d\n%s", code, out)
		}
	}
	if out, code := onTerminal(name, "--", "nonesuch"); code != 127 || !strings.Contains(out, "tbx: command nonesuch is not in toolbox "+name) {
		t.Errorf("no such command: %d\n%s", code, out)
	}
}

// TestX1IsolatedTyping: TIOCSTI and TIOCLINUX are refused by number, whatever
// terminal it may be, and other requests are not.
func TestX1IsolatedTyping(t *testing.T) {
	t.Parallel()
	name := prefix + "x1-typing"
	tbx(t, "create", "--isolated", "--image", image("debian"), name)
	t.Cleanup(func() { tbx(t, "rm", "--force", name) })
	tbx(t, "start", name)
	// A pipe knows neither: the kernel would say ENOTTY, 25.
	out := tbx(t, "run", "--workdir", "/", name, "--", "perl", "-e",
		`pipe(R, W); for (0x5412, 0x541c, 0x100005412, 0x541b, 0x5413) { my $x = "\0" x 64; ioctl(R, $_, $x) ? print("0 ") : print($!+0, " ") }`)
	if got := strings.Fields(out); len(got) != 5 || slices.Contains(got[:3], "25") || slices.Contains(got[:3], "0") || got[3] != "0" || got[4] != "25" {
		t.Errorf("errors: %q", got)
	}
}

// TestIsolatedLimits: what is asked for is what the kernel counts.
func TestIsolatedLimits(t *testing.T) {
	t.Parallel()
	name := prefix + "x1-limits"
	flags := []string{"--isolated", "--image", image("busybox"), "--shm-size", "32m"}
	delegated, _ := os.ReadFile(fmt.Sprintf("/sys/fs/cgroup/user.slice/user-%[1]d.slice/user@%[1]d.service/cgroup.controllers", os.Getuid()))
	controllers := strings.Fields(string(delegated))
	if slices.Contains(controllers, "memory") {
		flags = append(flags, "--memory", "256m")
	} else {
		cmd := exec.Command("tbx", append(append([]string{"create"}, flags...), "--memory", "256m", name)...)
		cmd.Env = passed()
		var exit *exec.ExitError
		if out, err := cmd.CombinedOutput(); !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), "memory cannot be limited here") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	tbx(t, append(append([]string{"create"}, flags...), name)...)
	tbx(t, "start", name) // which may say that it is at it
	t.Cleanup(func() { tbx(t, "rm", "--force", name) })
	inspect := tbx(t, "inspect", name)
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	files := fmt.Sprint(min(65536, own.Max))
	for _, c := range []struct{ controller, command, want, said string }{
		{"", `ulimit -Hn; ulimit -Sn`, files + "\n" + files, "--ulimit nofile=" + files},
		{"", `df -Pk /dev/shm | awk 'NR == 2 {print $2}'`, "32768", "--shm-size 32m"},
		{"pids", `cat /sys/fs/cgroup/pids.max`, "4096", "--pids-limit 4096"},
		{"memory", `cat /sys/fs/cgroup/memory.max`, "268435456", "--memory 256m"},
	} {
		if c.controller != "" && !slices.Contains(controllers, c.controller) {
			if strings.Contains(inspect, c.said) {
				t.Errorf("inspect says %s, which nobody keeps", c.said)
			}
			continue
		}
		if got := strings.TrimSpace(tbx(t, "run", "--workdir", "/", name, "--", "sh", "-c", c.command)); got != c.want {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
		if !strings.Contains(inspect, c.said) {
			t.Errorf("inspect does not say %s:\n%s", c.said, inspect)
		}
	}
}

// TestIsolatedGPU: the nodes for programs without rights are there when asked
// for, and only then. On a machine without a GPU it has a node of a GPU's name
// that is /dev/null.
func TestIsolatedGPU(t *testing.T) {
	t.Parallel()
	made := false
	if nodes, _ := filepath.Glob("/dev/dri/renderD*"); nodes == nil {
		made = true
		out, err := exec.Command("sudo", "-n", "sh", "-c", "mkdir -p /dev/dri && mknod -m 666 /dev/dri/renderD128 c 1 3 && mknod -m 666 /dev/dri/card0 c 1 3").CombinedOutput()
		t.Cleanup(func() {
			exec.Command("sudo", "-n", "sh", "-c", "rm /dev/dri/renderD128 /dev/dri/card0 && rmdir /dev/dri").Run()
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	name := prefix + "x1-gpu"
	tbx(t, "create", "--isolated", "--gpu", "--image", image("busybox"), name)
	t.Cleanup(func() { tbx(t, "rm", "--force", name) })
	tbx(t, "run", "--workdir", "/", name, "--", "sh", "-c", "test -c /dev/dri/renderD128 && ! test -e /dev/dri/card0")
	if made {
		tbx(t, "run", "--workdir", "/", name, "--", "sh", "-c", "echo >/dev/dri/renderD128")
	}
	if out := tbx(t, "inspect", name); !strings.Contains(out, "/dev/dri/renderD128") {
		t.Errorf("inspect does not say it:\n%s", out)
	}
	without := prefix + "x1-gpu-without"
	tbx(t, "create", "--isolated", "--image", image("busybox"), without)
	t.Cleanup(func() { tbx(t, "rm", "--force", without) })
	tbx(t, "run", "--workdir", "/", without, "--", "sh", "-c", "! test -e /dev/dri")
}
