//go:build system

package system_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listener is a service on the host that remembers what it was told: that a
// connection came about says nothing where a network takes every one.
type listener struct {
	port string
	mu   sync.Mutex
	told bytes.Buffer
}

func listenOn(t *testing.T, network, address string) *listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	out := &listener{}
	_, out.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(5 * time.Second))
				buf := make([]byte, 64)
				n, _ := io.ReadAtLeast(c, buf, 1)
				out.mu.Lock()
				defer out.mu.Unlock()
				out.told.Write(buf[:n])
			}()
		}
	}()
	return out
}

// heard says whether word came, within a moment.
func (l *listener) heard(word string) bool {
	for range 20 {
		l.mu.Lock()
		found := strings.Contains(l.told.String(), word)
		l.mu.Unlock()
		if found {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// tell is a script that sends word to an address and ends soon.
func tell(host, port, word string) string {
	return fmt.Sprintf(`timeout 3 bash -c 'exec 3<>/dev/tcp/%s/%s && echo %s >&3' 2>/dev/null || true`, host, port, word)
}

// TestX1_Loopback: a service on the host's loopback hears nothing from an isolated
// toolbox, by whatever address the network programs may have for the host; it hears
// a default one, and a container of podman's that is allowed to.
func TestX1_Loopback(t *testing.T) {
	t.Parallel()
	v4, v6 := listenOn(t, "tcp4", "127.0.0.1:0"), listenOn(t, "tcp6", "[::1]:0")
	ways := []struct {
		l    *listener
		host string
	}{{v4, "127.0.0.1"}, {v4, "127.0.0.2"}, {v4, "10.0.2.2"}, {v4, "10.0.2.3"}, {v4, "169.254.1.1"}, {v4, "169.254.1.2"}, {v4, "host.containers.internal"}, {v6, "::1"}, {v6, "fd00::2"}, {v6, "fd00::3"}, {v4, "$(ip -4 route 2>/dev/null | sed -n \"s/^default via \\([^ ]*\\).*/\\1/p\")"}}
	for mode, flags := range map[string][]string{"open": nil, "isolated": {"--isolated"}, "offline": {"--isolated", "--no-network"}} {
		name := prefix + "x1-net-" + mode
		tbx(t, append(append([]string{"create", "--quiet", "--image", image("debian")}, flags...), name)...)
		t.Cleanup(func() { tbx(t, "rm", "--force", name) })
		for i, w := range ways {
			word := fmt.Sprintf("%s-%d", mode, i)
			tbx(t, "run", "--workdir", "/", name, "--", "bash", "-c", tell(w.host, w.l.port, word))
			open := mode == "open" && (w.host == "127.0.0.1" || w.host == "::1")
			if got := w.l.heard(word); got != open && (open || mode != "open") {
				t.Errorf("from %s by %s: heard is %t", mode, w.host, got)
			}
		}
	}
	if _, err := exec.LookPath("slirp4netns"); err == nil {
		out, err := try("podman", "run", "--rm", "--network", "slirp4netns:allow_host_loopback=true", image("debian"), "bash", "-c", tell("10.0.2.2", v4.port, "allowed"))
		if err != nil || !v4.heard("allowed") {
			t.Errorf("the probe of 10.0.2.2 sees nothing: %v\n%s", err, out)
		}
	}
}

// TestX1_Offline: without a network there is none but a loopback of its own, and no
// socket of a kind that knows no network namespace.
func TestX1_Offline(t *testing.T) {
	t.Parallel()
	name := prefix + "x1-offline"
	tbx(t, "create", "--quiet", "--isolated", "--no-network", "--image", image("debian"), name)
	t.Cleanup(func() { tbx(t, "rm", "--force", name) })
	out := tbx(t, "run", "--workdir", "/", name, "--", "sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route /proc/net/ipv6_route | grep -v -e Iface -e ' lo$' || true")
	if got := lines(out); len(got) != 1 || strings.TrimSpace(got[0]) != "lo" {
		t.Errorf("it has %q", got)
	}
	shared := filepath.Join("/proc", fmt.Sprint(os.Getpid()), "ns/net")
	host, err := os.Readlink(shared)
	must(t, err)
	if in := lastWord(tbx(t, "run", "--workdir", "/", name, "--", "readlink", "/proc/self/ns/net")); in == host {
		t.Error("its network is the host's")
	}
}

func lines(out string) []string {
	var kept []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "tbx: ") {
			kept = append(kept, line)
		}
	}
	return kept
}

// TestX5_Sockets: of a family that knows no network namespace no socket is had, with
// a network and without. None is connected: that it can be made is the hole.
func TestX5_Sockets(t *testing.T) {
	t.Parallel()
	const script = `for my $f (0..64, 200, 1<<31) { for my $t (1, 2, 3, 5) { for my $up (0, 1<<32, 0xffffffff<<32) {
		my $fd = syscall(%d, $up | $f, $t, 0); if ($fd >= 0) { $ok{$f} = 1; require POSIX; POSIX::close($fd); } } } }
		my $p = pack("ii", 0, 0); for (1..45) { $ok{"pair$_"} = 1 if syscall(%d, $_, 1, 0, $p) == 0 }
		$ok{audit} = 1 if syscall(%d, 16, 3, 9) >= 0; print join(" ", sort keys %%ok), "\n"`
	nr := map[string][2]int{"amd64": {41, 53}, "arm64": {198, 199}}[runtime.GOARCH]
	probe := fmt.Sprintf(script, nr[0], nr[1], nr[0])
	for mode, flags := range map[string][]string{"open": nil, "isolated": {"--isolated"}, "offline": {"--isolated", "--no-network"}} {
		name := prefix + "x5-" + mode
		tbx(t, append(append([]string{"create", "--quiet", "--image", image("debian")}, flags...), name)...)
		t.Cleanup(func() { tbx(t, "rm", "--force", name) })
		for _, root := range []bool{false, true} {
			args := []string{"run", "--workdir", "/", name, "--", "perl", "-e", probe}
			if root {
				args = append([]string{"run", "--root"}, args[1:]...)
			}
			got := strings.Join(lines(tbx(t, args...)), " ")
			switch {
			case mode != "open" && got != "1 10 16 2 pair1":
				t.Errorf("%s, root is %t: sockets of %q", mode, root, got)
			case mode == "open" && !(strings.Contains(" "+got+" ", " 38 ") || strings.Contains(" "+got+" ", " 40 ")):
				t.Errorf("the probe sees nothing: %q", got)
			}
		}
		if runtime.GOARCH == "amd64" {
			socketcall(t, mode, name)
		}
	}
}

// socketcall tries what a 32-bit program may: socketcall(2) has the family in memory.
func socketcall(t *testing.T, mode, name string) {
	t.Helper()
	for _, family := range []uint32{unix.AF_UNIX, unix.AF_VSOCK, unix.AF_ALG} {
		cmd := exec.Command("tbx", "run", "--workdir", "/tmp", name, "--", "sh", "-c", "cat >p32 && chmod 755 p32 && exec ./p32")
		cmd.Env, cmd.Stdin = passed(), bytes.NewReader(program32(family))
		out, err := cmd.CombinedOutput()
		switch {
		case mode == "open" && family == unix.AF_UNIX && err != nil:
			t.Logf("32-bit programs do not run here: %v\n%s", err, out) // a kernel without them
			return
		case mode != "open" && err == nil:
			t.Errorf("%s: a 32-bit program has a socket of family %d", mode, family)
		}
	}
}

// program32 is a static program for i386, which ends with 0 if socketcall(2) makes a
// socket of the family, else with the error's number.
func program32(family uint32) []byte {
	const base, head = 0x08048000, 52 + 32
	code := []byte{
		0xb8, 102, 0, 0, 0, // mov eax, socketcall
		0xbb, 1, 0, 0, 0, // mov ebx, SYS_SOCKET
		0xb9, 0, 0, 0, 0, // mov ecx, arguments
		0xcd, 0x80, 0x85, 0xc0, // int 0x80; test eax, eax
		0x79, 4, 0xf7, 0xd8, 0xeb, 2, 0x31, 0xc0, // jns +4; neg eax; jmp +2; xor eax, eax
		0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80, // mov ebx, eax; mov eax, exit; int 0x80
	}
	binary.LittleEndian.PutUint32(code[11:], uint32(base+head+len(code)))
	for _, v := range []uint32{family, unix.SOCK_STREAM, 0} {
		if family == unix.AF_ALG && v == unix.SOCK_STREAM {
			v = unix.SOCK_SEQPACKET
		}
		code = binary.LittleEndian.AppendUint32(code, v)
	}
	var out bytes.Buffer
	out.Write([]byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	size := uint32(head + len(code))
	for _, v := range []any{uint16(2), uint16(3), uint32(1), uint32(base + head), uint32(52), uint32(0), uint32(0), uint16(52), uint16(32), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(0), uint32(base), uint32(base), size, size, uint32(5), uint32(0x1000)} {
		binary.Write(&out, binary.LittleEndian, v)
	}
	out.Write(code)
	return out.Bytes()
}

// TestX10_DevicesInAShare: nodes that lie in what is shared open no device, and
// nothing that is mounted for the toolbox gives rights, whoever started it.
func TestX10_DevicesInAShare(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x10", image("debian"))
	c.inside(false, "cp /usr/bin/id "+c.dir+"/src/p/id")
	for _, dir := range []string{"src/p", "ro"} {
		if out, err := try("sudo", "-n", "sh", "-ec", fmt.Sprintf("cd %s/%s; mknod -m 666 node c 1 5; cp %[1]s/src/p/id suid; chown 100000 suid; chmod 4755 suid", c.dir, dir)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	t.Cleanup(func() { try("sudo", "-n", "rm", "-rf", c.dir) })
	open := c.name + "-open"
	tbx(t, "create", "--quiet", "--image", image("debian"), open)
	t.Cleanup(func() { tbx(t, "rm", "--force", open) })
	if out := tbx(t, "run", open, "--", "sh", "-c", "head -c 3 "+c.dir+"/src/p/node | wc -c"); lastWord(out) != "3" {
		t.Errorf("the probe sees nothing: %s", out)
	}
	for _, start := range []string{"tbx", "podman"} {
		try("podman", "stop", "--time", "0", c.name)
		if start == "podman" {
			if out, err := try("podman", "start", c.name); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		for _, root := range []bool{false, true} {
			for _, dir := range []string{"src/p", "ro"} {
				node := filepath.Join(c.dir, dir, "node")
				out := c.inside(root, "test -c "+node+" && ! head -c 3 "+node+" 2>&1 | tr -d '\\000' | tr '\\n' ' '; "+filepath.Join(c.dir, dir, "suid")+" -u || true")
				if !strings.Contains(out, "Permission denied") {
					t.Errorf("%s, started by %s: %s", node, start, out)
				}
				if !root && lastWord(out) != fmt.Sprint(os.Getuid()) {
					t.Errorf("a setuid program gave rights: %s", out)
				}
			}
		}
		for _, line := range lines(c.inside(false, "grep -E ' (/home|/run/tbx)' /proc/self/mountinfo")) {
			if options := strings.Fields(line)[5]; !strings.Contains(options, "nosuid") || !strings.Contains(options, "nodev") {
				t.Errorf("started by %s: %s", start, line)
			}
		}
	}
}

// TestX11_FromAnOrdinaryToolbox: its root, whose numbers are those of the isolated
// one's root, comes at no memory, file or namespace of a process there.
func TestX11_FromAnOrdinaryToolbox(t *testing.T) {
	t.Parallel()
	cell, open := prefix+"x11-cell", prefix+"x11-open"
	tbx(t, "create", "--quiet", "--isolated", "--image", image("debian"), cell)
	tbx(t, "create", "--quiet", "--image", image("debian"), open)
	for _, n := range []string{cell, open} {
		t.Cleanup(func() { tbx(t, "rm", "--force", n) })
	}
	sleeper := func(box string, root bool) string {
		t.Helper()
		args := []string{"run", "--workdir", "/", box, "--", "sh", "-c", "echo $$ $(readlink /proc/self/ns/mnt); exec sleep 600"}
		if root {
			args = append([]string{"run", "--root"}, args[1:]...)
		}
		cmd := exec.Command("tbx", args...)
		cmd.Env = passed()
		out, err := cmd.StdoutPipe()
		must(t, errors.Join(err, cmd.Start()))
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		var inside int
		var ns string
		if _, err := fmt.Fscan(out, &inside, &ns); err != nil {
			t.Fatal(err)
		}
		for range 100 { // until it has become sleep
			for _, pid := range procs() { // by its number on the host
				var st unix.Stat_t
				link, _ := os.Readlink("/proc/" + pid + "/ns/mnt")
				comm, _ := os.ReadFile("/proc/" + pid + "/comm")
				if link == ns && string(comm) == "sleep\n" && unix.Stat("/proc/"+pid, &st) == nil && (int(st.Uid) == os.Getuid()) != root {
					return pid
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("the sleeper of %s is nowhere", box)
		return ""
	}
	nr := map[string][]any{"amd64": {101, 308, 310}, "arm64": {117, 268, 270}}[runtime.GOARCH]
	probe := fmt.Sprintf(`my ($pid) = @ARGV; my @open;
		push @open, "ptrace" if syscall(%d, 0x4206, $pid+0, 0, 0) == 0;
		push @open, "root" if opendir(D, "/proc/$pid/root/");
		for my $f ("mem", "environ", "maps") { my $b; push @open, $f if open(F, "<", "/proc/$pid/$f") && defined sysread(F, $b, 1) }
		push @open, "cwd" if defined readlink("/proc/$pid/cwd");
		push @open, "exe" if defined readlink("/proc/$pid/exe");
		for my $ns ("mnt", "user", "pid", "net") { push @open, "ns $ns" if open(N, "<", "/proc/$pid/ns/$ns") && syscall(%d, fileno(N), 0) == 0 }
		my $b = "\0" x 64; my ($ours, $its) = (pack("PQ", $b, 1), pack("QQ", 4096, 1));
		push @open, "vm" if syscall(%d, $pid+0, $ours, 1, $its, 1, 0) >= 0 || $! == 14; # not EPERM
		print join(",", @open), "\n"`, nr...)
	for _, asRoot := range []bool{true, false} {
		from := []string{"run", "--workdir", "/", open, "--", "perl", "-e", probe}
		if asRoot {
			from = append([]string{"run", "--root"}, from[1:]...)
		}
		for _, target := range []bool{true, false} {
			if got := lines(tbx(t, append(from, sleeper(cell, target))...)); len(got) != 0 {
				t.Errorf("root is %t, of a process whose root is %t: it reaches %q", asRoot, target, got)
			}
		}
		if got := lines(tbx(t, append(from, sleeper(open, asRoot))...)); len(got) != 1 || !strings.Contains(got[0], "root,environ,maps,cwd,exe") {
			t.Errorf("the probe sees nothing: %q", got)
		}
	}
}

func procs() []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for i, d := range dirs {
		dirs[i] = filepath.Base(d)
	}
	return dirs
}
