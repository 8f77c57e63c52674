package cli

import (
	"context"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX53_HangupAtTheLastMoment: a signal that comes just before tbx becomes a session is
// known when it does.
func TestX53_HangupAtTheLastMoment(t *testing.T) {
	runtime.LockOSThread() // a signal to this thread has been taken when the call returns
	defer runtime.UnlockOSThread()
	for i := range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		e := &Env{}
		e.CancelOnSignals(cancel, ctx.Done())
		e.CatchSignals()
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		e.ReleaseSignals()
		if ctx.Err() == nil {
			t.Fatalf("%d: it was lost", i)
		}
		cancel()
	}
}
