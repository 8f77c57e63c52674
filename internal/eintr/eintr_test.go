package eintr_test

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// A pidfd of a process that lives is looked at while its looker gets signals
// without pause, as Go's runtime sends them to itself. The raw call is the
// counterpart: it is interrupted, so the signals are there.
func TestB24_LooksThatSignalsInterrupt(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(self)
	tid := unix.Gettid()
	stop := make(chan struct{})
	var senders sync.WaitGroup
	defer senders.Wait()
	defer close(stop)
	for range 2 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
				}
			}
		})
	}
	raw := 0
	for tries := 0; raw < 50; tries++ {
		if tries > 100_000_000 {
			t.Skip("no call was interrupted")
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(self), Events: unix.POLLIN}}, 0); err == unix.EINTR {
			raw++
		}
		if ended, err := eintr.Ended(self); ended || err != nil {
			t.Fatalf("after %d calls of which %d were interrupted: ended %v, %v", tries, raw, ended, err)
		}
	}
}
