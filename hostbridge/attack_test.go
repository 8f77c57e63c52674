package hostbridge_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	fd := connect(t, l)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// connect is dial for a caller that closes the connection itself.
func connect(t testing.TB, l *bridgetest.LocalSetup) int {
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

// running starts a command without a terminal and returns when it runs.
func running(t testing.TB, l *bridgetest.LocalSetup, argv ...string) (fd, pid int) {
	t.Helper()
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	fd = dial(t, l)
	send(t, fd, start(t, l, argv...))
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
	f := answer(t, fd)
	n, err := f.Number()
	if f.Type != wire.TypeStarted || err != nil {
		t.Fatalf("%q: frame of type %d, %v", argv, f.Type, err)
	}
	return fd, int(n)
}

// pipe is a pair of descriptors, which whoever has them may close earlier.
func pipe(t testing.TB) (p [2]int) {
	t.Helper()
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p
}

func works(t testing.TB, b *bridgetest.Bridge) {
	t.Helper()
	if got := b.Output(t, "echo", "fine"); got != "fine\n" {
		t.Fatalf("the bridge does not work any more: %q", got)
	}
}

// In the toolbox another directory lies over the host's of the same name.
func TestI11_DirectoryNotShared(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Linger = 2 * time.Second })
	works(t, b)
	b.Local.Box.Process.Kill()
	b.Local.Box.Wait()
	bridgetest.Eventually(t, "the agent has ended", func() bool {
		_, err := hostbridge.AskStatus(context.Background(), b.Local.Config.Dir())
		return err != nil
	})
	if _, err := os.Lstat(boxDir(b.Local) + "/sock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSessionsHaveTheirOwnEnvironment(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

func TestLaunchersGetNoTerminalAndOutliveTheClient(t *testing.T) {
	t.Parallel()
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
