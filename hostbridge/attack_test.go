package hostbridge_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

// The tests here are named after the cases of the attack list in
// docs/bridge-protocol.md, as far as they need a running bridge.

// dial connects as a program would that speaks the protocol itself.
func dial(t testing.TB, l *bridgetest.LocalSetup) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: boxDir(l) + "/sock"}); err != nil {
		t.Fatal(err)
	}
	limit := unix.Timeval{Sec: 30}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func boxDir(l *bridgetest.LocalSetup) string {
	return hostbridge.BoxDir(l.Config.Dir(), bridgetest.BoxID)
}

func token(t testing.TB, l *bridgetest.LocalSetup) []byte {
	t.Helper()
	b, err := os.ReadFile(boxDir(l) + "/token")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start is a request for a command without a terminal.
func start(t testing.TB, l *bridgetest.LocalSetup, argv ...string) wire.Frame {
	t.Helper()
	s := wire.Start{Token: token(t, l), Cwd: "/", Argv: argv}
	frames, err := s.Frames()
	if err != nil || len(frames) != 1 {
		t.Fatal(err)
	}
	return frames[0]
}

func send(t testing.TB, fd int, f wire.Frame, fds ...int) {
	t.Helper()
	if err := wire.Send(fd, f, fds...); err != nil {
		t.Fatal(err)
	}
}

// answer is the next frame, whose descriptors are closed.
func answer(t testing.TB, fd int) wire.Frame {
	t.Helper()
	f, fds, err := wire.Recv(fd, wire.RecvBuffer())
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	wire.CloseAll(fds)
	return f
}

func open(t testing.TB, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func works(t testing.TB, b *bridgetest.Bridge) {
	t.Helper()
	if got := b.Output(t, "echo", "fine"); got != "fine\n" {
		t.Fatalf("the bridge does not work any more: %q", got)
	}
}

func TestB1_BadFramesAreAnsweredAndTheAgentStaysUp(t *testing.T) {
	b := bridgetest.Local(t, nil)
	files, err := filepath.Glob("wire/testdata/vectors/bad-*.txt")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), err)
	}
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "to: host") {
			continue
		}
		fd := dial(t, b.Local)
		for line := range strings.Lines(string(data)) {
			if h, ok := strings.CutPrefix(strings.TrimSpace(line), "packet: "); ok {
				p, _ := hex.DecodeString(h)
				unix.Sendmsg(fd, p, nil, nil, unix.MSG_NOSIGNAL)
			}
		}
		unix.Shutdown(fd, unix.SHUT_WR)
		if f := answer(t, fd); f.Type != wire.TypeError && f.Type != 0 {
			t.Errorf("%s: answered by a frame of type %d", file, f.Type)
		}
		if i%8 == 0 {
			works(t, b)
		}
	}
	for _, size := range []int{wire.HeaderSize + wire.MaxBody + 1, 200_000} {
		fd := dial(t, b.Local)
		if err := unix.Sendmsg(fd, make([]byte, size), nil, nil, 0); err != nil {
			t.Fatal(err)
		}
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Errorf("%d bytes: frame of type %d", size, f.Type)
		}
	}
	works(t, b)
}

func TestB1_SecondStartIsRefused(t *testing.T) {
	b := bridgetest.Local(t, nil)
	fd := dial(t, b.Local)
	send(t, fd, start(t, b.Local, "true"))
	send(t, fd, start(t, b.Local, "true"))
	if f := answer(t, fd); f.Type != wire.TypeError {
		t.Errorf("frame of type %d", f.Type)
	}
	works(t, b)
}

func TestB2_ArgumentsBeyondTheKernelsLimit(t *testing.T) {
	b := bridgetest.Local(t, nil)
	// One argument may have 128 KiB (MAX_ARG_STRLEN), whatever the sum is.
	fd := dial(t, b.Local)
	s := wire.Start{Token: token(t, b.Local), Cwd: "/", Argv: []string{"true", strings.Repeat("x", 1<<20)}}
	frames, err := s.Frames()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		send(t, fd, f)
	}
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
	f := answer(t, fd)
	if e, err := wire.ParseFailure(f.Body); f.Type != wire.TypeError || err != nil || e.Code != 126 {
		t.Errorf("frame of type %d, %+v, %v", f.Type, e, err)
	}
	b.Refused(t, 2, "-")
	b.Refused(t, 125, "--", "-x")
	b.Refused(t, 125, "--", "")
	works(t, b)
}

// With few descriptors to spare, any that leaked would end the agent.
func TestB3_WrongDescriptors(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Nofile = 64 })
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for round := range 6 { // within what may be asked in a burst
		for name, fds := range map[string][]int{
			"none": nil, "two": {null, null}, "five": {null, null, null, cwd, null}, "too many": bytesToFds(253, null),
		} {
			fd := dial(t, b.Local)
			send(t, fd, start(t, b.Local, "true"))
			send(t, fd, wire.Frame{Type: wire.TypeFds}, fds...)
			if f := answer(t, fd); f.Type != wire.TypeError {
				t.Fatalf("%s: frame of type %d", name, f.Type)
			}
			unix.Shutdown(fd, unix.SHUT_RDWR)
		}
		// With the request itself, where none belong, and the socket in itself.
		fd := dial(t, b.Local)
		send(t, fd, start(t, b.Local, "true"), null, cwd, fd)
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Fatalf("descriptors with START: frame of type %d", f.Type)
		}
		unix.Shutdown(fd, unix.SHUT_RDWR)
		fd = dial(t, b.Local)
		send(t, fd, start(t, b.Local, "sleep", "1000"))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, fd, fd, fd, cwd) // a cycle
		unix.Shutdown(fd, unix.SHUT_RDWR)
		if round%4 == 0 {
			works(t, b)
		}
	}
	works(t, b)
}

func bytesToFds(n, fd int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = fd
	}
	return out
}

func TestB5_SilentConnectionsDoNotKeepOthersOut(t *testing.T) {
	b := bridgetest.Local(t, nil)
	for range 600 {
		dial(t, b.Local)
	}
	works(t, b)
	fd := dial(t, b.Local) // half a request, then silence
	f := start(t, b.Local, "true")
	f.Flags |= wire.FlagMore
	f.Body = append(f.Body, make([]byte, wire.MaxBody-len(f.Body))...)
	send(t, fd, f)
	works(t, b)
}

func TestB6_WrongToken(t *testing.T) {
	b := bridgetest.Local(t, nil)
	other := bridgetest.Local(t, nil)
	for name, tok := range map[string][]byte{"none": nil, "zero": make([]byte, 32), "other's": token(t, other.Local), "short": token(t, b.Local)[:31]} {
		fd := dial(t, b.Local)
		s := wire.Start{Token: tok, Cwd: "/", Argv: []string{"true"}}
		frames, _ := s.Frames()
		send(t, fd, frames[0])
		f := answer(t, fd)
		if d, err := wire.ParseDenied(f.Body); f.Type != wire.TypeDenied || err != nil || !strings.Contains(d.Reason, "token") {
			t.Errorf("%s: frame of type %d, %+v", name, f.Type, d)
		}
	}
	if recs := b.Local.Audit(); len(recs) != 4 || recs[0].Decision != hostbridge.Deny || recs[0].PeerPid != os.Getpid() {
		t.Errorf("audit: %+v", recs)
	}
}

// A new start of the toolbox has a new token, and the old one is worth nothing.
func TestB6_TokenOfAnEarlierStart(t *testing.T) {
	b := bridgetest.Local(t, nil)
	old := token(t, b.Local)
	b.Local.Box = b.Local.StartBox(bridgetest.BoxID)
	b.Local.StartAgent()
	works(t, b)
	fd := dial(t, b.Local)
	s := wire.Start{Token: old, Cwd: "/", Argv: []string{"true"}}
	frames, _ := s.Frames()
	send(t, fd, frames[0])
	if f := answer(t, fd); f.Type != wire.TypeDenied {
		t.Errorf("frame of type %d", f.Type)
	}
}

func TestB7_ClientRefusesUnsafeDirectories(t *testing.T) {
	b := bridgetest.Local(t, nil)
	dir := boxDir(b.Local)
	link := filepath.Join(b.Local.Config.Root, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	refused := func(name, dir string) {
		t.Helper()
		cmd := b.Client("true")
		cmd.Env = append(cmd.Env, "TBX_BRIDGE="+dir)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 125 {
			t.Errorf("%s: %v %s", name, cmd.ProcessState, out)
		}
	}
	refused("symlink", link)
	refused("absent", link+"x")
	os.Chmod(dir, 0o777)
	refused("writable by all", dir)
	os.Chmod(dir, 0o700)
	works(t, b)
	sock := dir + "/sock"
	os.Rename(sock, sock+".old")
	os.WriteFile(sock, nil, 0o600)
	refused("a file for a socket", dir)
}

func TestB7_AgentRefusesUnsafeDirectories(t *testing.T) {
	for name, spoil := range map[string]func(run string) error{
		"symlink":         func(run string) error { os.Mkdir(run+".real", 0o700); return os.Symlink(run+".real", run) },
		"writable by all": func(run string) error { os.Mkdir(run, 0o700); return os.Chmod(run, 0o777) },
		"file":            func(run string) error { return os.WriteFile(run, nil, 0o600) },
	} {
		run := filepath.Join(t.TempDir(), "run")
		if err := spoil(run); err != nil {
			t.Fatal(err)
		}
		if _, err := hostbridge.Ensure(t.Context(), hostbridge.EnsureOptions{Dir: run, Box: bridgetest.BoxID, Agent: []string{"/bin/false"}, Log: run + ".log"}); err == nil || strings.Contains(err.Error(), "did not start") {
			t.Errorf("%s: taken: %v", name, err)
		}
		if err := hostbridge.Serve(t.Context(), hostbridge.Options{Dir: run}); err == nil {
			t.Errorf("%s: served", name)
		}
	}
	b := bridgetest.Local(t, nil)
	for _, id := range []string{"", "..", "../../x", "a/b", "short", "ABCDEFGHIJ", strings.Repeat("a", 65), "aaaaaaaa\n"} {
		if err := b.Local.Ensure(id, nil); err == nil || !strings.Contains(err.Error(), "no id of a toolbox") {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

// nested is a client in namespaces nested in the toolbox's.
func nested(b *bridgetest.Bridge, args ...string) *exec.Cmd {
	cmd := b.Client(args...)
	i := 0
	for cmd.Args[i] != "--" {
		i++
	}
	cmd.Args = append(append(append([]string{}, cmd.Args[:i+1]...), "unshare", "--user", "--mount", "--map-current-user"), cmd.Args[i+1:]...)
	return cmd
}

func TestB8_NestedNamespace(t *testing.T) {
	b := bridgetest.Local(t, nil)
	if out, err := nested(b, "echo", "x").CombinedOutput(); err != nil || string(out) != "x\n" {
		t.Errorf("integrated: %v %s", err, out)
	}
	works(t, b)
	recs := b.Local.Audit()
	if recs[0].NS != "foreign" || recs[len(recs)-1].Event != "request" && recs[len(recs)-1].Event != "end" {
		t.Errorf("audit: %+v", recs)
	}
	b = bridgetest.Local(t, func(c *bridgetest.Config) { c.Box.Isolated = true })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"*\"\nexec = \"*\"\naction = \"allow\"\n")
	cmd := nested(b, "--cwd", "/", "true")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 126 || !strings.Contains(string(out), "namespace") {
		t.Errorf("isolated: %v %s", cmd.ProcessState, out)
	}
}

func TestB9_AgentKilledLosesNothing(t *testing.T) {
	b := bridgetest.Local(t, nil)
	cmd := b.Client("sh", "-c", "echo begun; read x; echo got $x; kill -TERM $$")
	in, _ := cmd.StdinPipe()
	var out bytes.Buffer
	pr, pw := io.Pipe()
	cmd.Stdout = io.MultiWriter(&out, pw)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(pr, make([]byte, 6))
	go io.Copy(io.Discard, pr)
	b.Local.KillAgent()
	io.WriteString(in, "word\n")
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM || out.String() != "begun\ngot word\n" {
		t.Errorf("%v, output %q", cmd.ProcessState, out.String())
	}
	b.Refused(t, 125, "true")
	b.Local.StartAgent()
	works(t, b)
}

// After the agent was killed, the end of the client still ends the command.
func TestB9_AgentAndClientKilled(t *testing.T) {
	b := bridgetest.Local(t, nil)
	cmd := b.Client("sh", "-c", "echo $$; exec sleep 1000")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	b.Local.KillAgent()
	cmd.Process.Kill()
	cmd.Wait()
	bridgetest.Eventually(t, "the command is gone", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestB9_AgentKilledAtEachFrame(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "never" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for name, step := range map[string]func(fd int){
		"connected": func(int) {},
		"half": func(fd int) {
			f := start(t, b.Local, "true")
			f.Flags |= wire.FlagMore
			f.Body = append(f.Body, make([]byte, wire.MaxBody-len(f.Body))...)
			send(t, fd, f)
		},
		"pending": func(fd int) {
			send(t, fd, start(t, b.Local, "id"))
			send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
			if f := answer(t, fd); f.Type != wire.TypePending {
				t.Fatalf("frame of type %d", f.Type)
			}
		},
	} {
		fd := dial(t, b.Local)
		step(fd)
		b.Local.KillAgent()
		if f := answer(t, fd); f.Type != 0 {
			t.Errorf("%s: a dead agent sent a frame of type %d", name, f.Type)
		}
		b.Local.StartAgent()
		works(t, b)
	}
}

func TestB12_Signals(t *testing.T) {
	b := bridgetest.Local(t, nil)
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for _, sig := range []int{0, -1, 9, 19, 64, 1000} {
		fd := dial(t, b.Local)
		send(t, fd, start(t, b.Local, "sleep", "1000"))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
		f := answer(t, fd)
		pid, err := f.Number()
		if f.Type != wire.TypeStarted || err != nil {
			t.Fatalf("frame of type %d, %v", f.Type, err)
		}
		send(t, fd, wire.Uint32(wire.TypeSignal, 0, uint32(sig)))
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Errorf("signal %d: frame of type %d", sig, f.Type)
		}
		unix.Shutdown(fd, unix.SHUT_RDWR)
		bridgetest.Eventually(t, "the command is ended", func() bool { return syscall.Kill(int(pid), 0) != nil })
	}
	works(t, b)
}

func TestB13_ShimOutsideAToolbox(t *testing.T) {
	dir := t.TempDir()
	self, _ := os.Executable()
	shims, bin := filepath.Join(dir, "shims"), filepath.Join(dir, "bin")
	os.Mkdir(shims, 0o755)
	os.Mkdir(bin, 0o755)
	os.Symlink(self, filepath.Join(shims, "frob"))
	run := func(path string) (string, int) {
		cmd := exec.Command(filepath.Join(shims, "frob"))
		cmd.Env = []string{"TBX_TEST_ROLE=shim", "TBX_TEST_ARGV=frob\nx y", "TBX_BRIDGE=" + dir + "/none", "PATH=" + path}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run(shims + ":relative:" + bin); code != 127 { // not itself again
		t.Errorf("no other frob: %d %s", code, out)
	}
	os.WriteFile(filepath.Join(bin, "frob"), []byte("#!/bin/sh\necho real \"$1\"\n"), 0o755)
	if out, code := run(shims + ":" + bin); code != 0 || out != "real x y\n" {
		t.Errorf("next frob in PATH: %d %q", code, out)
	}
}

func TestB14_WhichFileIsRun(t *testing.T) {
	b := bridgetest.Local(t, nil)
	fake := filepath.Join(b.Shared, "id")
	os.WriteFile(fake, []byte("#!/bin/sh\necho evil\n"), 0o755)
	os.Chmod(fake, 0o777) // also when root runs the tests, others can change it
	link := filepath.Join(b.Shared, "mylink")
	os.Symlink("/usr/bin/id", link)
	b.Local.WritePolicy("1.toml", `
[[rule]]
box = "web"
exec = "id"
action = "allow"
[[rule]]
box = "web"
exec = "`+fake+`"
action = "allow"
[[rule]]
box = "web"
exec = "*"
action = "deny"
`)
	b.Output(t, "id")
	b.Output(t, "/usr/bin/id")
	for _, name := range []string{fake, link, "/proc/self/exe", "/usr/bin/../bin/env", "/bin/sh"} {
		b.Refused(t, 126, name)
	}
	for _, name := range []string{"./id", "../bin/id", "share/id"} { // denied before it is looked for
		b.Refused(t, 126, name)
	}
}

func TestB17_OpenFileByDescriptor(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	opened := filepath.Join(b.Local.Config.Root, "opened")
	doc := filepath.Join(b.Shared, "doc.txt")
	secret := filepath.Join(b.Local.Config.Root, "secret")
	for _, f := range []string{doc, secret} {
		os.WriteFile(f, []byte("x"), 0o600)
	}
	fifo := filepath.Join(b.Shared, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Output(t, "--verb", "open-file", doc)
	if got, _ := os.ReadFile(opened); string(got) != doc+"\n" {
		t.Errorf("opened %q", got)
	}
	link := filepath.Join(b.Shared, "link")
	os.Symlink("doc.txt", link)
	b.Output(t, "--verb", "open-file", "link")
	if got, _ := os.ReadFile(opened); string(got) != doc+"\n" {
		t.Errorf("by a symlink: opened %q", got)
	}
	for _, path := range []string{fifo, "/dev/zero"} {
		b.Refused(t, 125, "--verb", "open-file", path)
	}
	// The name is swapped after the toolbox opened the file.
	fd := dial(t, b.Local)
	s := wire.Start{Flags: wire.FlagVerb | wire.FlagFile, Token: token(t, b.Local), Cwd: "/", Argv: []string{"open-file", link}}
	frames, _ := s.Frames()
	passed := open(t, link, unix.O_PATH)
	os.Remove(link)
	os.Symlink(secret, link)
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	send(t, fd, frames[0])
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd, passed)
	if f := answer(t, fd); f.Type != wire.TypeError {
		t.Errorf("swapped symlink: frame of type %d", f.Type)
	}
}

// fakeOpener puts a program into the host's path that notes its arguments.
func fakeOpener(t testing.TB, l *bridgetest.LocalSetup, name string) {
	t.Helper()
	bin := filepath.Join(l.Config.Root, "bin")
	os.MkdirAll(bin, 0o755)
	text := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + l.Config.Root + "/opened\n"
	if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestB16_OpenURL(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	const good = "https://example.org/a?b=c&d=%20#e"
	b.Output(t, "--verb", "open-url", good)
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != good+"\n" {
		t.Errorf("opened %q", got)
	}
	for _, bad := range []string{"file:///etc/passwd", "javascript:alert(1)", "-flag", "https://a\nb", "https://" + strings.Repeat("a", 1<<16), "https://ex\u202eample.org", "https:///x", "https://p\u0430ypal.com", "HTTPS:x", "data:text/html,x", "", "https://a b", "http://a'b"} {
		cmd := b.Client("--verb", "open-url", bad)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 125 {
			t.Errorf("%.40q: %v %.300s", bad, cmd.ProcessState, out)
		}
		if bytes.ContainsAny(out, "\u202e\x1b") {
			t.Errorf("%.40q comes back raw", bad)
		}
	}
}

func TestB18_QuestionsAreLimited(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "no" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	for i := range 5 {
		msg := b.Refused(t, 126, "id")
		if tooMany := strings.Contains(msg, "too many"); tooMany != (i >= 3) {
			t.Errorf("question %d: %s", i, msg)
		}
	}
	answers := ""
	for _, r := range b.Local.Audit() {
		answers += r.Answer + ","
	}
	if answers != "no,no,no,too many,too many," {
		t.Errorf("audit: %s", answers)
	}
}

func TestB18_LongQuestionIsNotAsked(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	b.Refused(t, 126, "id", strings.Repeat("x", 10_000))
	b.Output(t, "id", "-u")
}

// A toolbox sees the control socket, and may not answer its own question.
func TestB18_ToolboxCannotAnswer(t *testing.T) {
	b := bridgetest.Local(t, nil)
	l := b.Local
	cmd := l.InBox(l.Box, "control", l.Config.Dir())
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "turned away\n" {
		t.Errorf("%v %s", err, out)
	}
	if _, err := hostbridge.AskStatus(l.Config.Dir()); err != nil {
		t.Errorf("from the host: %v", err)
	}
}

func TestAskIsAnsweredByAPrompt(t *testing.T) {
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"session\"\n")
	if msg := b.Refused(t, 126, "echo", "x"); !strings.Contains(msg, "tbx agent --prompt") || !strings.Contains(msg, "tbx policy allow web -- echo") {
		t.Errorf("nobody to ask: %s", msg)
	}
	asked := make(chan hostbridge.Question, 8)
	go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
		asked <- q
		return q.What != `echo "\x1b[2J\u202e"`
	})
	bridgetest.Eventually(t, "the prompt is attached", func() bool {
		out, _ := b.Client("echo", "a b").CombinedOutput()
		return strings.Contains(string(out), "a b")
	})
	q := <-asked
	if q.Box != "web" || q.What != `echo "a b"` || !strings.HasSuffix(q.Rule, "1.toml:1") {
		t.Errorf("question %+v", q)
	}
	b.Output(t, "echo", "a b") // remembered
	if len(asked) != 0 {
		t.Error("asked again")
	}
	b.Local.KillAgent() // forgets the rate too
	b.Local.StartAgent()
}

func TestB18_QuestionIsEscaped(t *testing.T) {
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\n")
	asked := make(chan hostbridge.Question, 8)
	attached := make(chan struct{})
	go func() {
		close(attached)
		hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool { asked <- q; return false })
	}()
	<-attached
	bridgetest.Eventually(t, "the question arrives", func() bool {
		b.Refused(t, 126, "echo", "\x1b[2J\u202e\n\"")
		return len(asked) > 0
	})
	if q := <-asked; q.What != `echo "\x1b[2J\u202e\n\""` {
		t.Errorf("question %q", q.What)
	}
}

func TestB19_AuditLinesStayLines(t *testing.T) {
	b := bridgetest.Local(t, nil)
	b.Output(t, "true", "a\nb\"}{", "\x1b[31m", strings.Repeat("s", 10_000))
	b.Refused(t, 126, "sudo", "-n", "true")
	bridgetest.Eventually(t, "the end is logged", func() bool { return len(b.Local.Audit()) == 3 })
	data, err := os.ReadFile(b.Local.Config.Audit)
	if err != nil || bytes.Count(data, []byte("\n")) != 3 || bytes.ContainsAny(data, "\x1b") {
		t.Fatalf("%v %q", err, data)
	}
	for line := range bytes.Lines(data) {
		if !json.Valid(line) || len(line) > 6000 {
			t.Errorf("line %.200s", line)
		}
	}
	recs := b.Local.Audit()
	for i, r := range recs {
		if r.Seq != uint64(i+1) && r.Event != "end" && recs[1].Event != "end" {
			t.Errorf("record %d has number %d", i, r.Seq)
		}
		if strings.Contains(string(data), string(token(t, b.Local))) {
			t.Error("the token is in the log")
		}
	}
	if st, _ := os.Stat(b.Local.Config.Audit); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	// The directory goes: it is made again.
	os.RemoveAll(filepath.Dir(b.Local.Config.Audit))
	b.Output(t, "true")
	bridgetest.Eventually(t, "the log is there again", func() bool { return len(b.Local.Audit()) == 2 })
}

func TestB19_FullDisk(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Audit = "/dev/full"; c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	works(t, b)
	if msg := b.Refused(t, 126, "id"); !strings.Contains(msg, "audit") {
		t.Errorf("message %s", msg)
	}
}

func TestB19_Journal(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "j")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: sock, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Journal = sock })
	b.Output(t, "true", "a\nMESSAGE=forged")
	buf := make([]byte, 64<<10)
	n, err := l.Read(buf)
	if got := string(buf[:n]); err != nil || strings.Count(got, "\nMESSAGE=") != 1 || !strings.Contains(got, "TBX_TOOLBOX=web\n") {
		t.Errorf("%v %q", err, got)
	}
}

func TestB20_PolicyChangesWhileRunning(t *testing.T) {
	b := bridgetest.Local(t, nil)
	dir := b.Local.Config.PolicyDir()
	works(t, b)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"deny\"\n")
	if msg := b.Refused(t, 126, "echo"); !strings.Contains(msg, "1.toml:1") {
		t.Errorf("no rule named: %s", msg)
	}
	b.Output(t, "true")
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"ec") // half-written
	if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "1.toml:3:") {
		t.Errorf("no line named: %s", msg)
	}
	file := filepath.Join(dir, "1.toml")
	for name, spoil := range map[string]func() error{
		"symlink":         func() error { os.Rename(file, file+".x"); return os.Symlink(file+".x", file) },
		"writable by all": func() error { return os.Chmod(file, 0o666) },
		"fifo":            func() error { os.Remove(file); return unix.Mkfifo(file, 0o600) },
		"directory":       func() error { os.Remove(file); return os.Mkdir(file, 0o700) },
		"huge":            func() error { return os.WriteFile(file, bytes.Repeat([]byte("#"), 300_000), 0o600) },
		"open directory":  func() error { return os.Chmod(dir, 0o777) },
	} {
		os.RemoveAll(file)
		b.Local.WritePolicy("1.toml", "")
		works(t, b)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "policy") {
			t.Errorf("%s: %s", name, msg)
		}
		os.Chmod(dir, 0o700)
	}
	os.RemoveAll(file)
	works(t, b)
}

func TestB21_FewDescriptors(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Nofile = 40 })
	for range 200 {
		dial(t, b.Local)
	}
	cmds := []*exec.Cmd{}
	for range 30 {
		cmd := b.Client("sleep", "0.3")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		cmd.Wait() // served or refused, but answered
	}
	bridgetest.Eventually(t, "it works again", func() bool {
		out, _ := b.Client("echo", "x").Output()
		return string(out) == "x\n"
	})
}

func TestB21_RateAndNumberAreLimited(t *testing.T) {
	b := bridgetest.Local(t, nil)
	refused := 0
	for range 5000 {
		if refused > 0 {
			break
		}
		fd := dial(t, b.Local)
		send(t, fd, start(t, b.Local, "no-such-command"))
		if e, err := wire.ParseFailure(answer(t, fd).Body); err == nil && strings.Contains(e.Text, "too many requests") {
			refused++
		}
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	if refused == 0 {
		t.Error("no number of requests is too many")
	}
	bridgetest.Eventually(t, "it takes requests again", func() bool {
		out, _ := b.Client("echo", "x").Output()
		return string(out) == "x\n"
	})
}

func TestB23_AgentsSurroundingsDoNotReachCommands(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		c.Wrap = `trap "" INT QUIT TSTP HUP; umask 0; ulimit -c 0; cd /tmp; exec <&- >&-; export EVIL=1`
	})
	out := b.Output(t, "grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")
	if want := "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"; out != want {
		t.Errorf("signals of a command:\n%s", out)
	}
	if got := b.Output(t, "sh", "-c", "umask; echo ${EVIL-none} $HOSTVAR; ls /proc/self/fd"); got != "0027\nnone host\n0\n1\n2\n3\n" {
		t.Errorf("umask, environment, descriptors: %q", got)
	}
}

// In the toolbox another directory lies over the host's of the same name.
func TestI11_DirectoryNotShared(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Cover = "covered" })
	pwd := func() (string, int) {
		cmd := b.Client("pwd")
		cmd.Env = append(cmd.Env, "TBX_TEST_CWD="+filepath.Join(b.Local.Config.Root, "covered"))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := pwd(); code != 125 || !strings.Contains(out, "not shared") {
		t.Errorf("%d %s", code, out)
	}
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"pwd\"\naction = \"allow\"\ncwd = \"home\"\n")
	if out, code := pwd(); code != 0 || strings.TrimSpace(out) != b.Local.Config.Root {
		t.Errorf("with cwd = home: %d %s", code, out)
	}
}

func TestI12_NothingFromTheToolboxesPath(t *testing.T) {
	b := bridgetest.Local(t, nil)
	os.WriteFile(filepath.Join(b.Shared, "id"), []byte("#!/bin/sh\necho evil\n"), 0o755)
	cmd := b.Client("id", "-u")
	cmd.Env = append(cmd.Env, "PATH="+b.Shared+":.:/usr/bin:/bin")
	out, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(os.Getuid()) {
		t.Errorf("%v %q", err, out)
	}
}

func TestF12_AgentStartsOnceAndResumes(t *testing.T) {
	b := bridgetest.Local(t, nil)
	done := make(chan error, 8)
	b.Local.KillAgent()
	for range 8 {
		go func() { done <- b.Local.Ensure(bridgetest.BoxID, b.Local.Config.Env) }()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.Local.StartAgent()
	// Another toolbox makes the agent start; it serves this one again too.
	b.Local.KillAgent()
	b.Local.StartBox("ba9876543210")
	if err := b.Local.Ensure("ba9876543210", nil); err != nil {
		t.Fatal(err)
	}
	works(t, b)
	b.Local.StartAgent() // to know its pid
}

func TestAgentEndsAfterTheLastToolbox(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Linger = 2 * time.Second })
	works(t, b)
	b.Local.Box.Process.Kill()
	b.Local.Box.Wait()
	bridgetest.Eventually(t, "the agent has ended", func() bool {
		_, err := hostbridge.AskStatus(b.Local.Config.Dir())
		return err != nil
	})
	if _, err := os.Lstat(boxDir(b.Local) + "/sock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSessionsHaveTheirOwnEnvironment(t *testing.T) {
	b := bridgetest.Local(t, nil)
	l := b.Local
	first := l.Session
	if err := l.Ensure(bridgetest.BoxID, []string{"DISPLAY=:7"}); err != nil {
		t.Fatal(err)
	}
	if second := l.Session; second == first || second == "" {
		t.Fatalf("sessions %q and %q", first, second)
	}
	if got := b.Output(t, "sh", "-c", "echo $DISPLAY"); got != ":7\n" {
		t.Errorf("second session: %q", got)
	}
	l.Session = first
	if got := b.Output(t, "sh", "-c", "echo $HOSTVAR$DISPLAY"); got != "host\n" {
		t.Errorf("first session: %q", got)
	}
}

func TestIsolatedHasVerbsOnly(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		c.Box.Isolated = true
		c.Ask = "yes"
		c.Path = c.Root + "/bin:" + hostbridge.SystemPath
	})
	fakeOpener(t, b.Local, "notify-send")
	fakeOpener(t, b.Local, "xdg-open")
	b.Refused(t, 126, "true")
	if a, z := b.Refused(t, 126, "no-such-command"), b.Refused(t, 126, "sh"); strings.ReplaceAll(a, "no-such-command", "sh") != z {
		t.Errorf("an isolated toolbox learns what is on the host: %q, %q", a, z)
	}
	b.Output(t, "--verb", "notify", "done", "<b>&")
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != "--app-name=tbx\n--\n[web] done\n&lt;b&gt;&amp;\n" {
		t.Errorf("notified %q", got)
	}
	b.Output(t, "--verb", "open-url", "https://example.org/")
	b.Refused(t, 126, "--verb", "toolbox-list")
	b.Refused(t, 126, "--verb", "host-upgrade")
	b.Refused(t, 126, "--verb", "open-file", "/etc/passwd")
	b.Refused(t, 127, "--verb", "no-such-verb")
}

func TestVerbsOfTbx(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Tbx = c.Root + "/bin/tbx"; c.Ask = "yes" })
	os.MkdirAll(b.Local.Config.Root+"/bin", 0o755)
	os.WriteFile(b.Local.Config.Root+"/bin/tbx", []byte("#!/bin/sh\necho tbx \"$@\"\n"), 0o755)
	for verb, want := range map[string]string{"toolbox-list": "tbx list\n", "host-status": "tbx host status\n", "host-upgrade": "tbx host upgrade\n"} {
		if got := b.Output(t, "--verb", verb); got != want {
			t.Errorf("%s: %q", verb, got)
		}
		b.Refused(t, 125, "--verb", verb, "--evil")
	}
	if got := b.Output(t, "--verb", "toolbox-list", "--format", "json"); got != "tbx list --format json\n" {
		t.Errorf("%q", got)
	}
}

func TestRememberAlwaysWritesARule(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("50.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"always\"\n")
	b.Output(t, "echo", "a\"b", "c")
	b.Local.Config.Ask = "no"
	b.Local.KillAgent()
	b.Local.StartAgent()
	b.Output(t, "echo", "a\"b", "c")
	b.Refused(t, 126, "echo", "other")
}

func TestLaunchersGetNoTerminalAndOutliveTheClient(t *testing.T) {
	b := bridgetest.Local(t, nil)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"sh\"\naction = \"allow\"\ntty = \"never\"\ndetach = true\n")
	done := filepath.Join(b.Shared, "done")
	cmd := b.Client("sh", "-c", "echo started; sleep 0.5; echo x > "+done)
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 8))
	cmd.Process.Kill()
	cmd.Wait()
	bridgetest.Eventually(t, "the launcher has gone on", func() bool { _, err := os.Stat(done); return err == nil })
	b.Refused(t, 126, "--detach", "sleep", "1")
}
