package hostbridge_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// seen is what a command sees of the process that runs it, and of itself.
const seen = `echo $PPID; umask; pwd; grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd | tr '\n' ' '`

// A runner runs one command after the other, and none of them sees anything of
// the one before.
func TestRunnerIsUsedAgain(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	first := b.Output(t, "sh", "-c", seen)
	again, seenIdle := 0, 0
	for range 40 {
		b.Output(t, "--cwd", "/", "sh", "-c", "umask 0; cd /tmp; exit 0")
		now := b.Output(t, "sh", "-c", seen)
		pid, rest, _ := strings.Cut(now, "\n")
		firstPid, firstRest, _ := strings.Cut(first, "\n")
		if rest != firstRest {
			t.Fatalf("a later command sees\n%s, the first saw\n%s", rest, firstRest)
		}
		if pid == firstPid {
			again++
		}
		first = now
		bridgetest.Eventually(t, "an idle runner has nothing of the last command", func() bool {
			clean, ended := idle(pid)
			if clean && !ended {
				seenIdle++
			}
			return clean || ended
		})
	}
	if again == 0 || seenIdle == 0 {
		t.Errorf("of 40 commands %d had the runner of the one before, %d runners were seen idle", again, seenIdle)
	}
}

// idle says whether a runner has neither directory nor descriptors of a command, and
// whether it has ended.
func idle(pid string) (clean, ended bool) {
	cwd, err := os.Readlink("/proc/" + pid + "/cwd")
	if err != nil {
		return false, true
	}
	open, err := filepath.Glob("/proc/" + pid + "/fd/*")
	if err != nil || len(open) == 0 {
		return false, true
	}
	sockets, pipes := 0, 0
	for _, fd := range open {
		to, _ := os.Readlink(fd)
		if strings.HasPrefix(to, "socket:") {
			sockets++
		} else if strings.HasPrefix(to, "pipe:") {
			pipes++
		}
	}
	return cwd == "/" && sockets == 1 && pipes == 0, false // the socket is the agent's
}

// What a command leaves behind is its runner's child: such a runner gets no other.
func TestRunnerOfAnOrphanIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	out := strings.Fields(b.Output(t, "sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 & echo $PPID $!"))
	orphan, _ := strconv.Atoi(out[1])
	defer syscall.Kill(orphan, syscall.SIGKILL)
	runner, _ := strconv.Atoi(out[0])
	bridgetest.Eventually(t, "the runner is gone", func() bool { return syscall.Kill(runner, 0) != nil })
	if syscall.Kill(orphan, 0) != nil {
		t.Error("the command's background process is gone: its client had ended in peace")
	}
	works(t, b)
}

func TestRunnerServesOneToolbox(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	const other = "ba9876543210"
	box := b.Local.StartBox(other)
	if err := b.Local.Ensure(other, nil); err != nil {
		t.Fatal(err)
	}
	served := map[string]string{}
	for range 20 {
		mine := strings.TrimSpace(b.Output(t, "sh", "-c", "echo $PPID"))
		cmd := b.Local.InBox(box, "client", "sh", "-c", "echo $PPID")
		b.Setenv(cmd, "TBX_BRIDGE="+hostbridge.BoxDir(b.Local.Config.Dir(), other))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for pid, who := range map[string]string{mine: "web", strings.TrimSpace(string(out)): "other"} {
			if was := served[pid]; was != "" && was != who {
				t.Fatalf("runner %s has run commands of two toolboxes", pid)
			}
			served[pid] = who
		}
	}
}
