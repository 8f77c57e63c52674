package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/inherited"
)

// signals lets Ctrl-C, TERM and HUP end tbx's waiting, so that it can clean up. Until
// CatchSignals is called they end tbx at once: while tbx is about to become a command, a
// caught signal would be lost to both.
type signals struct {
	cancel  context.CancelFunc
	done    <-chan struct{} // closed when a signal has come
	channel chan os.Signal
	told    chan struct{} // closed when the signals in channel have been handled
}

// CancelOnSignals sets the effect of a signal after CatchSignals: it calls cancel, which
// closes done.
func (e *Env) CancelOnSignals(cancel context.CancelFunc, done <-chan struct{}) {
	e.signals = signals{cancel: cancel, done: done}
}

// Interrupted reports whether the user, or the end of the user's terminal, ended tbx's
// work.
func (e *Env) Interrupted() bool {
	select {
	case <-e.signals.done:
		return true
	default:
		return false
	}
}

func errInterrupted() error { return fail.New(fail.Canceled, "interrupted") }

// CatchSignals begins to turn signals into the end of the context. A signal that the
// caller ignores, as nohup(1) does, stays ignored.
func (e *Env) CatchSignals() {
	s := &e.signals
	if s.channel != nil {
		return
	}
	channel := make(chan os.Signal, 1)
	if !inherited.Notify(channel, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) {
		return
	}
	s.channel, s.told = channel, make(chan struct{})
	go func(c chan os.Signal, cancel context.CancelFunc, told chan struct{}) {
		defer close(told)
		if _, ok := <-c; ok {
			cancel()
		}
	}(s.channel, s.cancel, s.told)
}

// ReleaseSignals stops catching signals. A signal that arrived before, up to the last
// moment, is in the context's error. A hangup is sent only once: a command that tbx
// becomes without it would stay for ever.
func (e *Env) ReleaseSignals() {
	s := &e.signals
	if s.channel != nil {
		signal.Stop(s.channel) // no more come
		close(s.channel)
		<-s.told
		s.channel = nil
	}
}
