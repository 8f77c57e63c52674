// Package eintrtest lets tests make calls that signals interrupt, as Go's runtime
// interrupts its own threads. Only tests import it.
package eintrtest

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Storm sends signals without pause to the thread of the calling goroutine, to which it
// locks it, until the test ends.
func Storm(t testing.TB) {
	runtime.LockOSThread()
	tid, stop := unix.Gettid(), make(chan struct{})
	var senders sync.WaitGroup
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
	t.Cleanup(func() {
		close(stop)
		senders.Wait()
		runtime.UnlockOSThread()
	})
}

// Interrupted makes a raw poll(2) of fd and reports whether a signal interrupted it, to
// prove that the storm reaches this thread's calls.
func Interrupted(fd int) bool {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == unix.EINTR
}
