package hostbridge_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

func TestB6_WrongToken(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	other := bridgetest.Local(t, nil)
	b.Local.StartBox(secondBox)
	if err := b.Local.Ensure(secondBox, nil); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(hostbridge.BoxDir(b.Local.Config.Dir(), secondBox) + "/token")
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string][]byte{"none": nil, "zero": make([]byte, 32), "short": token(t, b.Local)[:31],
		"another agent's": token(t, other.Local), "another toolbox's": second} {
		fd := dial(t, b.Local)
		s := wire.Start{Token: tok, Cwd: "/", Argv: []string{"true"}}
		frames, _ := s.Frames()
		send(t, fd, frames[0])
		f := answer(t, fd)
		if d, err := wire.ParseDenied(f.Body); f.Type != wire.TypeDenied || err != nil || !strings.Contains(d.Reason, "token") {
			t.Errorf("%s: frame of type %d, %+v", name, f.Type, d)
		}
	}
	if recs := b.Local.Audit(); len(recs) != 5 || recs[0].Decision != hostbridge.Deny || recs[0].PeerPid != os.Getpid() {
		t.Errorf("audit: %+v", recs)
	}
}

// A new start of the toolbox has a new token, and the old one is worth nothing.
func TestB6_TokenOfAnEarlierStart(t *testing.T) {
	t.Parallel()
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

const secondBox = "ba9876543210"

// connectedBy is a connection that a process of the toolbox made, which has
// ended since. pid was its number.
func connectedBy(t *testing.T, l *bridgetest.LocalSetup) (fd, pid int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	cmd := l.InBox(l.Box, "connect")
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(dup), "socket")}
	defer cmd.ExtraFiles[0].Close()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return fd, cmd.Process.Pid
}

// A connection is worth nothing once who made it has ended: nobody can tell any
// more who that was.
func TestB6_CallerHasEnded(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	fd, pid := connectedBy(t, b.Local)
	send(t, fd, start(t, b.Local, "true"))
	f := answer(t, fd)
	if d, err := wire.ParseDenied(f.Body); f.Type != wire.TypeDenied || err != nil || d.Reason != "the caller has ended" {
		t.Errorf("frame of type %d, %+v, %v", f.Type, d, err)
	}
	if recs := b.Local.Audit(); len(recs) != 1 || recs[0].PeerPid != pid || recs[0].Decision != hostbridge.Deny {
		t.Errorf("audit: %+v", recs)
	}
	works(t, b)
}

// Nor when another process has got its number meanwhile. Numbers can be chosen
// by root of a namespace, so this test runs in one of its own.
func TestB6_CallersNumberIsAnothers(t *testing.T) {
	// Not parallel: it gives out numbers of processes again at once, and others signal processes by number.
	if os.Getenv("TBX_TEST_PIDS") == "" {
		self, _ := os.Executable()
		cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
			self, "-test.v", "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "TBX_TEST_PIDS=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Box.Isolated = true })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"*\"\nexec = \"*\"\naction = \"allow\"\n")
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.CloseAll(p[:])
	pidfd, noPidfd := unix.GetsockoptInt(p[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	unix.Close(pidfd)
	for name, successor := range map[string]func() *exec.Cmd{
		"of the host":    func() *exec.Cmd { return exec.Command("sleep", "1000") },
		"of the toolbox": func() *exec.Cmd { return b.Local.InBox(b.Local.Box, "box") },
	} {
		if name == "of the toolbox" && noPidfd != nil {
			continue // before Linux 6.5 it is taken for the caller, and may call itself
		}
		fd, pid := connectedBy(t, b.Local)
		cmd := withPid(t, pid, successor)
		for try := 0; cmd == nil && try < 10; try++ { // a thread has it, and stays
			fd, pid = connectedBy(t, b.Local)
			cmd = withPid(t, pid, successor)
		}
		if cmd == nil {
			t.Fatal("no process got a caller's number")
		}
		send(t, fd, start(t, b.Local, "true"))
		if f := answer(t, fd); f.Type != wire.TypeDenied {
			t.Errorf("%s: frame of type %d", name, f.Type)
		}
		if recs := b.Local.Audit(); recs[len(recs)-1].PeerPid != pid || recs[len(recs)-1].Decision != hostbridge.Deny {
			t.Errorf("%s: audit: %+v", name, recs[len(recs)-1])
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	if out, err := b.Client("true").CombinedOutput(); err != nil {
		t.Errorf("the toolbox itself: %v %s", err, out)
	}
}

// withPid starts a process that has that number, or returns nil: another thread
// may take it first, for a moment or for good.
func withPid(t *testing.T, pid int, make func() *exec.Cmd) *exec.Cmd {
	t.Helper()
	for range 20 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		cmd := make()
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			return cmd
		}
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
	return nil
}

func TestB7_ClientRefusesUnsafeDirectories(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// What lies where a socket shall be is removed and never followed.
func TestB7_WhatLiesWhereTheSocketShallBe(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	sock := boxDir(b.Local) + "/sock"
	victim := filepath.Join(b.Shared, "victim")
	if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(b.Shared, "foreign")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: foreign, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	control := filepath.Join(b.Local.Config.Dir(), "agent", "ctl")
	for name, place := range map[string]func(string) error{
		"symlink":          func(p string) error { return os.Symlink(victim, p) },
		"dangling symlink": func(p string) error { return os.Symlink(victim+".new", p) },
		"file":             func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"another's socket": func(p string) error { return os.Link(foreign, p) },
		"directory":        func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		b.Local.KillAgent()
		for _, p := range []string{sock, control} {
			os.RemoveAll(p)
			if err := place(p); err != nil {
				t.Fatal(err)
			}
		}
		b.Local.StartAgent()
		works(t, b)
		if fi, err := os.Lstat(sock); err != nil || fi.Mode().Type() != os.ModeSocket {
			t.Errorf("%s: the socket is %v, %v", name, fi, err)
		}
	}
	if data, _ := os.ReadFile(victim); string(data) != "kept" {
		t.Errorf("the victim holds %q", data)
	}
	if _, err := os.Lstat(victim + ".new"); err == nil {
		t.Error("the end of a dangling link was made")
	}
	// The toolbox's directory itself.
	b.Local.KillAgent()
	os.Rename(boxDir(b.Local), boxDir(b.Local)+"x")
	os.Symlink(boxDir(b.Local)+"x", boxDir(b.Local))
	if err := b.Local.Ensure(bridgetest.BoxID, nil); err == nil || !strings.Contains(err.Error(), "not a private directory") {
		t.Errorf("a link for the toolbox's directory: %v", err)
	}
}

// What a toolbox has removed of its own, the next tbx enter makes again.
func TestB7_RemovedByTheToolbox(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	dir := boxDir(b.Local)
	for name, remove := range map[string]func() error{
		"directory": func() error { return os.RemoveAll(dir) },
		"socket":    func() error { return os.Remove(dir + "/sock") },
		"token":     func() error { return os.Remove(dir + "/token") },
		"another token": func() error {
			os.Remove(dir + "/token")
			return os.WriteFile(dir+"/token", make([]byte, 32), 0o400)
		},
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if name != "another token" && session.Served(b.Local.Config.Dir(), dir) {
			t.Errorf("%s removed: tbx enter believes that it is there", name)
		}
		if err := b.Local.Ensure(bridgetest.BoxID, b.Local.Config.Env); err != nil {
			t.Errorf("%s removed: %v", name, err)
		}
		works(t, b)
	}
}

// An agent that nobody can reach makes room for the next: what a toolbox can remove
// it can also have removed by the end of a login.
func TestB7_AgentsDirectoryRemoved(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	for _, gone := range []string{"agent/ctl", "agent", ""} {
		old := b.Local.AgentPid
		running := b.Client("sh", "-c", "read x; echo $x")
		in, _ := running.StdinPipe()
		out, _ := running.StdoutPipe()
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		bridgetest.Eventually(t, "the command runs", func() bool {
			st, err := hostbridge.AskStatus(context.Background(), b.Local.Config.Dir())
			return err == nil && st.Running > 0
		})
		if err := os.RemoveAll(filepath.Join(b.Local.Config.Dir(), gone)); err != nil {
			t.Fatal(err)
		}
		b.Local.StartAgent()
		bridgetest.Eventually(t, "the agent has ended", func() bool { return bridgetest.Gone(old) })
		works(t, b)
		io.WriteString(in, "survived\n")
		if got, _ := io.ReadAll(out); string(got) != "survived\n" || running.Wait() != nil {
			t.Errorf("%q removed: a running command gave %q, %v", gone, got, running.ProcessState)
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
	t.Parallel()
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

// A toolbox that is renamed while it runs has the rules of its new name from the next
// request on, and what is answered for good is for that; under its old name it has
// none, and an isolated one of which no name is known has none at all.
func TestB29_RenamedWhileItRuns(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Box.Isolated, c.Ask = isolated, "yes" })
		root := b.Local.Config.Root
		b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"allow\"\n[[rule]]\nbox = \"new\"\nexec = \"id\"\naction = \"deny\"\n"+
			"[[rule]]\nbox = \"new\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"always\"\n")
		b.Output(t, "id", "-u")
		put(t, filepath.Join(root, "name."+bridgetest.BoxID), "new", 0o600)
		if msg := b.Refused(t, 126, "id", "-u"); !strings.Contains(msg, "1.toml:5") {
			t.Errorf("by its old name: %s", msg)
		}
		b.Output(t, "echo", "x")
		if q := b.Local.Questions(); len(q) != 1 || q[0].Box != "new" {
			t.Errorf("asked %+v", q)
		}
		own, err := os.ReadFile(filepath.Join(b.Local.Config.PolicyDir(), "00-tbx.toml"))
		if err != nil || !strings.Contains(string(own), `box = "new"`) {
			t.Errorf("remembered %s, %v", own, err)
		}
		var names []string
		for _, r := range b.Local.Audit() {
			if r.Event == "request" {
				names = append(names, r.Box)
			}
		}
		if !slices.Equal(names, []string{"web", "new", "new"}) {
			t.Errorf("the log is of toolboxes %q", names)
		}
		os.Remove(filepath.Join(root, "pid."+bridgetest.BoxID))
		cmd := b.Client("echo", "x")
		out, _ := cmd.CombinedOutput()
		if denied := strings.Contains(string(out), "the present name of this toolbox is not known"); denied != isolated {
			t.Errorf("isolated %v, no name: %s", isolated, out)
		}
	}
}
