package hostbridge_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/internal/fail"
)

// halt stops a process and returns when each of its threads stands still.
func halt(t testing.TB, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	bridgetest.Eventually(t, "the process has stopped", func() bool {
		stats, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
		return len(stats) > 0 && !slices.ContainsFunc(stats, func(file string) bool {
			stat, err := os.ReadFile(file)
			return err == nil && !strings.Contains(string(stat), ") T ")
		})
	})
}

// A stopped agent: whoever calls it gets a sentence, and none waits for good.
func TestB25_StoppedAgent(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	works(t, b)
	pid := b.Local.AgentPid
	halt(t, pid)
	defer syscall.Kill(pid, syscall.SIGCONT)
	var callers sync.WaitGroup
	for name, call := range map[string]func() error{
		"status":  func() error { _, err := hostbridge.AskStatus(context.Background(), b.Local.Config.Dir()); return err },
		"prompt":  func() error { return hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), nil) },
		"toolbox": func() error { return b.Local.Ensure(bridgetest.BoxID, nil) },
	} {
		callers.Go(func() {
			err := call()
			if err == nil || !errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), "process "+strconv.Itoa(pid)+", is stopped") ||
				len(fail.Hints(err)) == 0 || !strings.Contains(fail.Hints(err)[0], "kill -CONT "+strconv.Itoa(pid)) {
				t.Errorf("%s: %v, hints %q", name, err, fail.Hints(err))
			}
		})
	}
	callers.Go(func() {
		// Into a file: a pipe would stay open in the queue of the stopped agent.
		out, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		cmd := b.Client("true")
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Run()
		if said, _ := os.ReadFile(out.Name()); cmd.ProcessState.ExitCode() != 125 || !strings.Contains(string(said), "does not answer") {
			t.Errorf("client: %v, %s", cmd.ProcessState, said)
		}
	})
	callers.Wait()
	syscall.Kill(pid, syscall.SIGCONT)
	works(t, b)
}

// A stopped agent whose queues are full turns callers away at once.
func TestB25_StoppedAgentWithFullQueues(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	pid := b.Local.AgentPid
	halt(t, pid)
	defer syscall.Kill(pid, syscall.SIGCONT)
	for sock, kind := range map[string]int{b.Local.Config.Dir() + "/agent/ctl": unix.SOCK_STREAM, boxDir(b.Local) + "/sock": unix.SOCK_SEQPACKET} {
		for {
			fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: sock}); err == unix.EAGAIN {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := hostbridge.AskStatus(context.Background(), b.Local.Config.Dir()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("status: %v", err)
	}
	if msg := b.Refused(t, 125, "true"); !strings.Contains(msg, "does not answer") {
		t.Errorf("client: %s", msg)
	}
	syscall.Kill(pid, syscall.SIGCONT)
	bridgetest.Eventually(t, "it works again", func() bool { return b.Client("true").Run() == nil })
}

// A client that was stopped, and one that never reads, hold up nobody else.
func TestB25_StoppedClient(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	cmd := b.Client("sh", "-c", "echo begun; cat >/dev/null; exit 3")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 6))
	halt(t, cmd.Process.Pid)
	works(t, b)
	in.Close() // the command ends, and its client cannot hear of it yet
	works(t, b)
	syscall.Kill(cmd.Process.Pid, syscall.SIGCONT)
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v", cmd.ProcessState)
	}
}

// A stopped runner is a stopped command: its client can still be ended, and
// others do not notice.
func TestB25_StoppedRunner(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	cmd := b.Client("sh", "-c", "echo $PPID; exec sleep 1000")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runner := bridgetest.PidFrom(t, out)
	if comm, err := os.ReadFile("/proc/" + strconv.Itoa(runner) + "/comm"); err != nil || string(comm) != "tbx-box\n" {
		t.Fatalf("process %d is no runner: %q, %v", runner, comm, err)
	}
	halt(t, runner)
	works(t, b)
	cmd.Process.Kill()
	cmd.Wait()
	works(t, b)
	syscall.Kill(runner, syscall.SIGCONT)
	bridgetest.Eventually(t, "the runner ends what it ran", func() bool { return syscall.Kill(runner, 0) != nil })
}
