package eintr_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/eintr/eintrtest"
)

// A pidfd of a process that lives is looked at while signals interrupt calls. The raw
// call is the counterpart: it is interrupted.
func TestB24_LooksThatSignalsInterrupt(t *testing.T) {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(self)
	eintrtest.Storm(t)
	for interrupted := 0; interrupted < 10; {
		if eintrtest.Interrupted(self) {
			interrupted++
		}
		if ended, err := eintr.Ended(self); ended || err != nil {
			t.Fatalf("after %d interrupted calls: ended %v, %v", interrupted, ended, err)
		}
	}
}
