package hostbridge_test

import (
	"bytes"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

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
