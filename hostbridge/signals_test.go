package hostbridge

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr/eintrtest"
)

// A caller that is there is found to be there however many signals the agent
// gets meanwhile: a question would be ended, and a request refused, by chance.
// The raw poll(2) is the counterpart: it is interrupted.
func TestB24_CallerIsThereWhileSignalsCome(t *testing.T) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	caller := peer{pidfd: pidfd}
	defer caller.close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	eintrtest.Storm(t)
	for interrupted := 0; interrupted < 5; {
		if eintrtest.Interrupted(pidfd) {
			interrupted++
		}
		if !caller.alive() {
			t.Fatalf("after %d interrupted calls the caller is taken for gone", interrupted)
		}
		who, err := identify(pair[0], Box{Pid: os.Getpid()})
		if err != nil || who.ns != "own" {
			t.Fatalf("after %d interrupted calls: %v, namespace %s", interrupted, err, who.ns)
		}
		who.close()
	}
}
