package bridgetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Run runs the suite on bridges that make returns. Each test gets its own.
func Run(t *testing.T, make func(t *testing.T) *Bridge) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Bridge)
	}{
		{"ExitCodes", exitCodes},
		{"DeathBySignal", deathBySignal},
		{"Streams", streams},
		{"B2_ArgumentsAreBytes", argumentBytes},
		{"B11_GibibytePipe", bulkPipe},
		{"NotFound", notFound},
		{"Usage", usage},
		{"ManyArguments", manyArguments},
		{"B15_Environment", environment},
		{"Directory", directory},
		{"SignalForwarded", signalForwarded},
		{"B9_ClientKilled", clientKilled},
		{"B9_ClientKilledStubborn", clientKilledStubborn},
		{"B9_ClientKilledTTY", clientKilledTTY},
		{"B9_RunnerKilled", runnerKilled},
		{"B10_TTY", ttyBasics},
		{"B10_Resize", resize},
		{"B10_InterruptTTY", interruptTTY},
		{"B10_StopAndContinue", stopAndContinue},
		{"B10_Pipeline", pipeline},
		{"B10_HiddenInput", hiddenInput},
		{"B11_NothingLost", nothingLost},
		{"B11_GrandchildHoldsTTY", grandchildHoldsTTY},
		{"ManyAtOnce", manyAtOnce},
		{"B13_DepthIsLimited", loopGuard},
		{"F14_ClosedStreams", closedStreams},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, make(t)) })
	}
}

// result runs a command to its end.
func result(t testing.TB, cmd *exec.Cmd) (stdout, stderr string, state *os.ProcessState) {
	t.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil && !errors.As(e, new(*exec.ExitError)) {
		t.Fatal(e)
	}
	return out.String(), err.String(), cmd.ProcessState
}

// Output runs a client that must succeed, and returns what it wrote.
func (b *Bridge) Output(t testing.TB, args ...string) string {
	t.Helper()
	out, stderr, state := result(t, b.Client(args...))
	if state.ExitCode() != 0 {
		t.Fatalf("%q: %v; stderr: %s", args, state, stderr)
	}
	return out
}

// Refused runs a client that must fail with that code, and returns its message.
func (b *Bridge) Refused(t testing.TB, code int, args ...string) string {
	t.Helper()
	out, stderr, state := result(t, b.Client(args...))
	if state.ExitCode() != code {
		t.Fatalf("%.200q: %v, want exit %d; stdout: %.500s stderr: %.500s", args, state, code, out, stderr)
	}
	return stderr
}

func exitCodes(t *testing.T, b *Bridge) {
	for _, code := range []int{0, 1, 2, 42, 125, 126, 127, 128, 130, 255} {
		_, stderr, state := result(t, b.Client("sh", "-c", "exit "+strconv.Itoa(code)))
		if state.ExitCode() != code || stderr != "" {
			t.Errorf("exit %d came out as %v, stderr %q", code, state, stderr)
		}
	}
}

func deathBySignal(t *testing.T, b *Bridge) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGPIPE,
		syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGUSR1} {
		_, stderr, state := result(t, b.Client("sh", "-c", fmt.Sprintf("kill -%d $$", sig)))
		ws := state.Sys().(syscall.WaitStatus)
		if !ws.Signaled() || ws.Signal() != sig || stderr != "" {
			t.Errorf("death by %v came out as %v, stderr %q", sig, state, stderr)
		}
	}
}

func streams(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", "cat; echo err >&2")
	in := "a\x00b\xff\n"
	cmd.Stdin = strings.NewReader(in)
	out, stderr, state := result(t, cmd)
	if out != in || stderr != "err\n" || !state.Success() {
		t.Errorf("stdout %q, stderr %q, %v", out, stderr, state)
	}
	// A file is passed itself, offset and all, not copied.
	f, err := os.CreateTemp(b.Shared, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	io.WriteString(f, "head\n")
	cmd = b.Client("sh", "-c", "echo tail")
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(f.Name()); string(got) != "head\ntail\n" {
		t.Errorf("file holds %q", got)
	}
}

func argumentBytes(t *testing.T, b *Bridge) {
	if got := b.Output(t, "printf", "%s|", "", "\xff\xfe", "a b", "$x;'\"\n"); got != "|\xff\xfe|a b|$x;'\"\n|" {
		t.Errorf("arguments came out as %q", got)
	}
}

func bulkPipe(t *testing.T, b *Bridge) {
	cmd := b.Client("head", "-c", "1G", "/dev/zero")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || n != 1<<30 {
		t.Errorf("%d bytes, %v", n, err)
	}
	// Early end of the reader: SIGPIPE on the host, exactly reported.
	cmd = b.Client("sh", "-c", "exec yes")
	out, _ = cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 1))
	out.Close()
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGPIPE {
		t.Errorf("yes without a reader: %v", cmd.ProcessState)
	}
}

func notFound(t *testing.T, b *Bridge) {
	if msg := b.Refused(t, 127, "no-such-command-x"); !strings.Contains(msg, "no-such-command-x") {
		t.Errorf("message does not name the command: %s", msg)
	}
	file := filepath.Join(b.Shared, "plain")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Refused(t, 126, file)
	if err := os.WriteFile(file+".x", []byte("\x00not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.Refused(t, 126, file+".x")
	if err := os.WriteFile(file+".i", []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.Refused(t, 127, file+".i")
}

// usage is what is wrong about a call before the host is asked.
func usage(t *testing.T, b *Bridge) {
	for _, args := range [][]string{
		{}, {"--"}, {"--cwd"}, {"--cwd", "", "true"}, {"--cwd=", "true"}, {"--cwd", "here", "true"}, {"--cwd=.", "true"},
		{"--env", "", "true"}, {"--env", "NAME=value", "true"}, {"--verb"}, {"--no-such-option\x1b[2J", "true"},
	} {
		if msg := b.Refused(t, 125, args...); !strings.Contains(msg, "usage: tbx host-exec") || strings.Contains(msg, "\x1b") {
			t.Errorf("%q: %q", args, msg)
		}
	}
	if msg := b.Refused(t, 127, "no\x1b[2Jsuch"); !strings.Contains(msg, `no\x1b[2Jsuch`) {
		t.Errorf("a name with an escape: %q", msg)
	}
	b.Refused(t, 125, "--verb", "open-file", "")
}

// As many as xargs makes of short words.
func manyArguments(t *testing.T, b *Bridge) {
	args := []string{"sh", "-c", "echo $#", "sh"}
	for range 60000 {
		args = append(args, "x")
	}
	if got := b.Output(t, args...); got != "60000\n" {
		t.Errorf("of 60000 there were %q", got)
	}
}

// B15: what a toolbox may not set is dropped.
func environment(t *testing.T, b *Bridge) {
	cmd := b.Client("env")
	b.Setenv(cmd, "LANG=xx_XX", "LC_TIME=yy", "LD_PRELOAD=/evil.so", "BASH_ENV=/evil", "HOSTVAR=box",
		"GIT_SSH_COMMAND=evil", "TZ=a\x1b]b", "PYTHONPATH=x")
	out, _, state := result(t, cmd)
	if !state.Success() {
		t.Fatal(state)
	}
	env := "\n" + out
	for _, want := range []string{"\nTERM=xterm\n", "\nLANG=xx_XX\n", "\nLC_TIME=yy\n", "\nTBX_HOST_DEPTH=1\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("%q is not in the environment", want)
		}
	}
	for _, bad := range []string{"LD_PRELOAD", "BASH_ENV", "GIT_SSH", "TZ=", "PYTHONPATH", "HOSTVAR=box", "TBX_SESSION"} {
		if strings.Contains(env, bad) {
			t.Errorf("%s came through", bad)
		}
	}
}

func directory(t *testing.T, b *Bridge) {
	if got := b.Output(t, "pwd", "-P"); strings.TrimSpace(got) != b.Shared {
		t.Errorf("directory %q, want %q", got, b.Shared)
	}
	if got := b.Output(t, "--cwd", "/usr", "pwd"); got != "/usr\n" {
		t.Errorf("--cwd /usr gave %q", got)
	}
	b.Refused(t, 125, "--cwd", "/no/such/dir", "pwd")
}

func signalForwarded(t *testing.T, b *Bridge) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGHUP} {
		cmd := b.Client("sh", "-c", fmt.Sprintf("trap 'echo got; exit 7' %d; echo ready; while :; do sleep 0.05; done", sig))
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 6)
		if _, err := io.ReadFull(out, buf); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(sig)
		rest, _ := io.ReadAll(out)
		cmd.Wait()
		if string(rest) != "got\n" || cmd.ProcessState.ExitCode() != 7 {
			t.Errorf("%v: output %q, %v", sig, rest, cmd.ProcessState)
		}
	}
}

// PidFrom reads the line that a command begins with: its process id on the host.
func PidFrom(t testing.TB, r io.Reader) int {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := r.Read(b); err != nil {
			t.Fatalf("no process id after %q: %v", line, err)
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// Gone says whether a process has ended. A zombie has: this test is not its parent.
func Gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func clientKilled(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", "sleep 1000 & echo $!; echo $$; wait")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child, leader := PidFrom(t, out), PidFrom(t, out)
	cmd.Process.Kill()
	cmd.Wait()
	Eventually(t, "the command and its child are gone", func() bool { return Gone(leader) && Gone(child) })
}

// A command that ignores hang-up and termination is killed in the end, also
// when its leader has gone before.
func clientKilledStubborn(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", `(trap "" HUP TERM; while :; do sleep 0.1; done) & echo $!; echo $$; wait`)
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child, leader := PidFrom(t, out), PidFrom(t, out)
	cmd.Process.Kill()
	cmd.Wait()
	Eventually(t, "the leader is gone", func() bool { return Gone(leader) })
	Eventually(t, "its stubborn child is gone", func() bool { return Gone(child) })
}

// The agent gives each command a runner. Without it nobody could tell how the
// command ends, so it ends with it.
func runnerKilled(t *testing.T, b *Bridge) {
	cmd := b.Client("sh", "-c", "echo $PPID; echo $$; exec sleep 1000")
	out, _ := cmd.StdoutPipe()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runner, leader := PidFrom(t, out), PidFrom(t, out)
	if err := syscall.Kill(runner, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != 125 || !strings.Contains(stderr.String(), "connection to the host broke") {
		t.Errorf("%v %s", cmd.ProcessState, stderr.String())
	}
	Eventually(t, "the command is gone", func() bool { return Gone(leader) })
}

func manyAtOnce(t *testing.T, b *Bridge) {
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			want := strconv.Itoa(i)
			out, stderr, state := result(t, b.Client("sh", "-c", "sleep 0.2; echo "+want+"; exit "+want))
			if out != want+"\n" || state.ExitCode() != i {
				t.Errorf("client %d: %q %v %s", i, out, state, stderr)
			}
		})
	}
	wg.Wait()
}

func loopGuard(t *testing.T, b *Bridge) {
	cmd := b.Client("true")
	b.Setenv(cmd, "TBX_HOST_DEPTH=4")
	if _, stderr, state := result(t, cmd); state.ExitCode() != 125 || !strings.Contains(stderr, "loop") {
		t.Errorf("%v %s", state, stderr)
	}
}

func closedStreams(t *testing.T, b *Bridge) {
	c := b.Client("sh", "-c", "cat; echo x; exit 4")
	sh := exec.Command("sh", "-c", quoted(c.Args)+" <&- >&- 2>&-")
	sh.Env, sh.Dir = c.Env, b.Shared
	sh.Run()
	if sh.ProcessState.ExitCode() != 4 {
		t.Errorf("all streams closed: %v", sh.ProcessState)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := b.Client("sh", "-c", "echo x || exit 5")
	cmd.Stdout = full
	cmd.Run()
	if cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("/dev/full: %v", cmd.ProcessState)
	}
}
