package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/inherited"
)

// signals lets Ctrl-C, TERM and HUP end what tbx waits for, so that it can clean
// up after itself. Until CatchSignals is called they end tbx at once: while tbx is about
// to become a command, a signal that is caught would be lost to both.
type signals struct {
	cancel  context.CancelFunc
	done    <-chan struct{} // closed when one came
	channel chan os.Signal
	told    chan struct{} // closed when what is in channel has been heeded
}

// CancelOnSignals says what a signal ends, once CatchSignals is called: it calls
// cancel, which closes done.
func (e *Env) CancelOnSignals(cancel context.CancelFunc, done <-chan struct{}) {
	e.signals = signals{cancel: cancel, done: done}
}

// Interrupted says whether the user, or the end of his terminal, ended what tbx does.
func (e *Env) Interrupted() bool {
	select {
	case <-e.signals.done:
		return true
	default:
		return false
	}
}

func errInterrupted() error { return fail.New(fail.Canceled, "interrupted") }

// CatchSignals begins to turn signals into the end of the context. One that the caller
// ignores, as nohup(1) does, stays ignored.
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

// ReleaseSignals gives the signals back. What arrived before is in the context's error,
// up to the last moment: a hangup is sent once, and a command that tbx becomes without
// it would stay for ever.
func (e *Env) ReleaseSignals() {
	s := &e.signals
	if s.channel != nil {
		signal.Stop(s.channel) // no more come
		close(s.channel)
		<-s.told
		s.channel = nil
	}
}
