package hostbridge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

func TestB9_AgentKilledLosesNothing(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	b := bridgetest.Local(t, nil)
	cmd := b.Client("sh", "-c", "echo $$; exec sleep 1000")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := bridgetest.PidFrom(t, out)
	b.Local.KillAgent()
	cmd.Process.Kill()
	cmd.Wait()
	bridgetest.Eventually(t, "the command is gone", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestB9_AgentKilledAtEachFrame(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// Each of the signals that may be sent reaches the own command and no other.
func TestB12_SignalsReachTheOwnCommandOnly(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	const script = `for s in INT QUIT TERM HUP USR1 USR2 TSTP WINCH CONT; do trap "echo $s" $s; done; echo ready; sleep 1000 & while :; do wait; done` // a child that TSTP stops is not waited for
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	begin := func() (fd int, out *bufio.Reader) {
		p := pipe(t)
		fd = dial(t, b.Local)
		send(t, fd, start(t, b.Local, "bash", "-c", script))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, null, p[1], null, cwd)
		unix.Close(p[1])
		out = bufio.NewReader(os.NewFile(uintptr(p[0]), "out"))
		if line, err := out.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q %v", line, err)
		}
		return fd, out
	}
	fd, out := begin()
	other, others := begin()
	for name, sig := range map[string]unix.Signal{"INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "TERM": unix.SIGTERM, "HUP": unix.SIGHUP, "USR1": unix.SIGUSR1,
		"USR2": unix.SIGUSR2, "TSTP": unix.SIGTSTP, "WINCH": unix.SIGWINCH, "CONT": unix.SIGCONT} {
		send(t, fd, wire.Uint32(wire.TypeSignal, 0, uint32(sig)))
		if line, err := out.ReadString('\n'); line != name+"\n" {
			t.Fatalf("%s came as %q, %v", name, line, err)
		}
	}
	send(t, other, wire.Uint32(wire.TypeSignal, 0, uint32(unix.SIGUSR1)))
	if line, err := others.ReadString('\n'); line != "USR1\n" { // and nothing before
		t.Errorf("the other command got %q, %v", line, err)
	}
}

// 64 descriptors, of which the agent's own leave few.
func TestB21_FewDescriptors(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Nofile = 64 })
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

// A toolbox may have 128 commands, of which one more is refused by name.
func TestB21_CommandsAreCounted(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	const most = 128
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	var fds []int
	for range most {
		fd := dial(t, b.Local)
		send(t, fd, start(t, b.Local, "sleep", "1000"))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
		fds = append(fds, fd)
	}
	for i, fd := range fds {
		if f := answer(t, fd); f.Type != wire.TypeStarted {
			t.Fatalf("command %d: frame of type %d", i, f.Type)
		}
	}
	if msg := b.Refused(t, 125, "true"); !strings.Contains(msg, "too many host commands are running") {
		t.Errorf("message %s", msg)
	}
	for _, fd := range fds {
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	bridgetest.Eventually(t, "it takes commands again", func() bool { return b.Client("true").Run() == nil })
	bridgetest.Eventually(t, "no runner but the spare one is left", func() bool { return len(b.Local.AgentsChildren()) <= 1 })
}

// A command that makes processes without end makes them as its own: they go
// with the client, and the agent does not suffer. (How many it can make is for
// the limits of the user's session; this one stops by itself.)
func TestB21_ForkBomb(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	mark := "1000." + strconv.Itoa(os.Getpid())
	cmd := b.Client("sh", "-c", `bomb() { [ "$1" -eq 0 ] && exec sleep `+mark+`; bomb $(($1 - 1)) & bomb $(($1 - 1)); }; bomb 7 & echo begun; wait; sleep `+mark)
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 6))
	sleepers := func() int {
		found, _ := exec.Command("pgrep", "-fxc", "sleep "+mark).Output()
		n, _ := strconv.Atoi(strings.TrimSpace(string(found)))
		return n
	}
	bridgetest.Eventually(t, "all are there", func() bool { return sleepers() >= 128 })
	works(t, b)
	cmd.Process.Kill()
	cmd.Wait()
	bridgetest.Eventually(t, "all are gone", func() bool { return sleepers() == 0 })
	works(t, b)
}

// Long requests, finished or not, cost the agent a bounded amount of memory:
// 300 of 4 MiB would be over a gigabyte.
func TestB21_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	f := start(t, b.Local, "true")
	f.Flags |= wire.FlagMore
	f.Body = append(f.Body, make([]byte, wire.MaxBody-len(f.Body))...)
	var most int
	resident := func() int {
		var size, pages int
		statm, err := os.ReadFile("/proc/" + strconv.Itoa(b.Local.AgentPid) + "/statm")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(string(statm), &size, &pages)
		return pages * os.Getpagesize() >> 20
	}
	var fds []int
	for range 250 {
		fd := dial(t, b.Local)
		wait := unix.Timeval{Usec: 10_000}
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait)
		fds = append(fds, fd)
		f.Type = wire.TypeStart
		for part := 0; part < wire.MaxStart/wire.MaxBody-1; part++ {
			if wire.Send(fd, f) != nil { // it is not read now, or was refused
				break
			}
			f.Type = wire.TypeMore
		}
		most = max(most, resident())
	}
	t.Logf("at most %d MiB", most)
	if most > 128 {
		t.Errorf("the agent had %d MiB", most)
	}
	for _, fd := range fds {
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	bridgetest.Eventually(t, "it works again", func() bool { return b.Client("true").Run() == nil })
}

func TestB23_AgentsSurroundingsDoNotReachCommands(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		c.Wrap = `trap "" INT QUIT TSTP HUP; umask 0; ulimit -c 0; cd /tmp; exec <&- >&- 2>&-; export EVIL=1 BIG1=$(printf %100000d 1) BIG2=$(printf %100000d 2)
LAUNCH="env --block-signal=HUP,TERM,USR1,CHLD,CONT"`
	})
	out := b.Output(t, "grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")
	if want := "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"; out != want {
		t.Errorf("signals of a command:\n%s", out)
	}
	if got := b.Output(t, "sh", "-c", "umask; echo ${EVIL-none} $HOSTVAR; ls /proc/self/fd"); got != "0027\nnone host\n0\n1\n2\n3\n" {
		t.Errorf("umask, environment, descriptors: %q", got)
	}
}

// The first tbx enter may be called in a terminal: the agent has none of it, nor
// have its commands, and the terminal's end is not theirs.
func TestB23_StartedInATerminal(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Local.KillAgent()
	self, _ := os.Executable()
	conf, _ := json.Marshal(b.Local.Config)
	cmd := exec.Command(self)
	cmd.Env = append(b.Local.Config.Env, "TBX_TEST_ROLE=ensure", "TBX_TEST_CONFIG="+string(conf))
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(tty) // to its end: the agent does not keep it open
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	tty.Close()
	if got := b.Output(t, "sh", "-c", "ps -o tty= -p $$; (: </dev/tty) 2>/dev/null || echo none"); strings.Join(strings.Fields(got), " ") != "? none" {
		t.Errorf("a command has the terminal %q", got)
	}
	b.Local.StartAgent() // to know its pid
}
