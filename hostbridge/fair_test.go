package hostbridge

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// Toolboxes that take all they can get leave the others their part.
func TestB21_SlotsAreShared(t *testing.T) {
	var s slots
	take := func(box string) (n int) {
		for s.take(box, 4) {
			n++
		}
		return n
	}
	if n := take("evil"); n != maxRunning {
		t.Errorf("the first has %d", n)
	}
	if n := take("evil too"); n != maxAll-maxRunning {
		t.Errorf("the second has %d", n)
	}
	for _, box := range []string{"third", "fourth"} {
		if n := take(box); n != maxAll/4 {
			t.Errorf("%s has %d", box, n)
		}
	}
	s.free("third")
	if s.take("evil", 4) || !s.take("third", 4) {
		t.Error("what one gives back goes to who has more")
	}
	for range maxAll / 4 {
		s.free("fourth")
	}
	if s.running() != maxAll+maxAll/4 || len(s.used) != 3 {
		t.Errorf("%d run, %v", s.running(), s.used)
	}
}

// The connections of a toolbox that says nothing make room, and not those of others.
func TestB21_SilentConnectionsAreShared(t *testing.T) {
	a := &agent{silent: 64, boxes: map[string]*served{"evil": {}, "good": {}}}
	conn := func() *net.UnixConn {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(pair[1])
		f := os.NewFile(uintptr(pair[0]), "")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
	for range 3 {
		a.hold(a.boxes["good"], conn())
	}
	for range 500 {
		a.hold(a.boxes["evil"], conn())
	}
	if good, evil := a.boxes["good"].waitingNow(), a.boxes["evil"].waitingNow(); good != 3 || evil != 61 {
		t.Errorf("%d of one, %d of the other", good, evil)
	}
	a.silent = 10_000
	for range 500 {
		a.hold(a.boxes["evil"], conn())
	}
	if evil := a.boxes["evil"].waitingNow(); evil != maxWaiting {
		t.Errorf("%d of one", evil)
	}
}

// queue is a terminal on which another question is being put.
type queue struct {
	free chan struct{}
	got  time.Time
}

func (q *queue) turn(ctx context.Context) (func(), error) {
	<-q.free
	q.got = time.Now()
	return func() {}, nil
}

func (q *queue) Ask(ctx context.Context, _ Question) (bool, error) {
	end, ok := ctx.Deadline()
	if !ok || end.Before(q.got.Add(askTimeout)) {
		return false, errors.New("the time of the question began before it was put")
	}
	return true, nil
}

// The time for an answer begins when the question is put.
func TestB21_TimeOfAQuestionIsItsOwn(t *testing.T) {
	q := &queue{free: make(chan struct{})}
	told := make(chan struct{}, 8)
	go func() {
		<-told // the client was told to wait
		close(q.free)
	}()
	a := newAsking([]Asker{q}, time.Now)
	if yes, err := a.ask(t.Context(), "box", Question{What: "id"}, func() { told <- struct{}{} }); !yes || err != nil {
		t.Errorf("%v %v", yes, err)
	}
	if len(told) != 1 {
		t.Error("the client was not told that its time has begun")
	}
}

// A verb that fills the screen is asked for a few times, then now and then.
func TestB27_VerbsHaveLimits(t *testing.T) {
	now := time.Now()
	for name, want := range map[string]int{"notify": 10, "open-url": 20, "open-file": 20, "terminal": 5, "clipboard": 120} {
		b := verbLimits()[name]
		n := 0
		for b.take(now) {
			n++
		}
		if n != want || b.take(now.Add(time.Second/10)) || !b.take(now.Add(time.Minute)) {
			t.Errorf("%s: %d at once", name, n)
		}
	}
}

// A question that was put to nobody does not count.
func TestB18_QuestionsToNobody(t *testing.T) {
	a := newAsking(nil, time.Now)
	for i := range 10 {
		if _, err := a.ask(t.Context(), "box", Question{What: "id"}, func() {}); !errors.Is(err, ErrNobody) {
			t.Fatalf("question %d: %v", i, err)
		}
	}
}

// A toolbox that has used up its requests is told so, before anything is looked up for it.
func TestB21_RequestsHaveARate(t *testing.T) {
	token := bytes.Repeat([]byte("t"), tokenSize)
	s := &served{token: token, rate: bucket{burst: 1, perSec: 1e-6}}
	lookups := 0
	a := &agent{Options: Options{Lookup: func(context.Context, string) (Box, error) { lookups++; return Box{}, nil }}}
	admit := func() error {
		r := &request{a: a, s: s, start: &wire.Start{Token: token, Argv: []string{"true"}}}
		return r.admit(t.Context())
	}
	var no *refusal
	if err := admit(); errors.As(err, &no) && strings.Contains(no.reason, "too many requests") {
		t.Errorf("the first is refused: %v", err)
	}
	seen := lookups
	if err := admit(); !errors.As(err, &no) || no.code != 125 || !strings.Contains(no.reason, "too many requests") || lookups != seen {
		t.Errorf("the second: %v, %d lookups", err, lookups-seen)
	}
}
