package fleetlock_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/fleetlock"
	"github.com/tbx-project/tbx/osupdate/auto/fleetlock/fleetlocktest"
)

func client(t *testing.T, base, id string) *fleetlock.Client {
	t.Helper()
	c, err := fleetlock.New(base, "default", id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// recorded answers as the real airlock did, one answer after the other.
func recorded(t *testing.T) []*http.Response {
	data, err := os.ReadFile("testdata/airlock.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []*http.Response
	for _, part := range strings.Split(string(data), "\n+ ") {
		_, answer, ok := strings.Cut(part, "\n")
		if !ok || !strings.HasPrefix(answer, "HTTP/1.1 ") {
			continue // its metrics
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, resp)
	}
	return out
}

// replay is a transport with one answer.
type replay struct{ answer *http.Response }

func (r replay) RoundTrip(*http.Request) (*http.Response, error) { return r.answer, nil }

// TestAirlock reads every answer that the real airlock with etcd gave: a full group is a
// refusal that passes by itself, an unknown one is not.
func TestAirlock(t *testing.T) {
	all := recorded(t)
	full, mistaken, granted, down := 0, 0, 0, 0
	for _, resp := range all {
		c, err := fleetlock.New("http://lock.example", "default", "aa", replay{resp})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Lock(t.Context())
		var r *fleetlock.Refusal
		switch {
		case err == nil:
			granted++
		case !errors.As(err, &r):
			t.Errorf("%v", err)
		case r.Mistaken() && r.Value != "":
			mistaken++
		case r.Kind == "failed_lock" && r.Error() == "it answers 500 Internal Server Error: all 2 semaphore slots currently locked":
			full++
		case r.Kind == "failed_sem_init" && strings.Contains(r.Error(), "context deadline exceeded"):
			down++
		default:
			t.Errorf("%+v", r)
		}
	}
	if granted != 7 || full != 1 || mistaken != 6 || down != 1 {
		t.Errorf("of %d: granted %d, full %d, mistaken %d, down %d", len(all), granted, full, mistaken, down)
	}
}

// TestF63_Answers of servers that are none, or not well.
func TestF63_Answers(t *testing.T) {
	stop := make(chan struct{})
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		switch what := parts[1]; what {
		case "page":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<html>please sign in")
		case "elsewhere":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "ok")
		case "endless":
			w.(http.Flusher).Flush()
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
					return
				}
			}
		case "silent":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		case "long":
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"kind":"k","value":"%s"}`, strings.Repeat("a", 10000))
		default:
			code, err := strconv.Atoi(what)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(code)
			io.WriteString(w, map[bool]string{true: `{"kind":3}`, false: "\x00\xff<no json>"}[code%2 == 0])
		}
	}))
	defer server.Close()
	defer close(stop)
	for code := 400; code < 600; code++ {
		var r *fleetlock.Refusal
		if err := client(t, server.URL+"/"+strconv.Itoa(code), "a").Lock(t.Context()); !errors.As(err, &r) || r.Status != code {
			t.Errorf("%d: %v", code, err)
		} else if passes := code >= 500 || code == 423 || code == 409 || code == 429 || code == 408; r.Mistaken() == passes {
			t.Errorf("%d: mistaken: %v", code, r.Mistaken())
		}
	}
	for _, code := range []string{"201", "202", "204", "304"} { // only 200 is yes
		if err := client(t, server.URL+"/"+code, "a").Lock(t.Context()); err == nil {
			t.Errorf("%s is yes", code)
		}
	}
	for what, want := range map[string]string{"page": "it answers with a page", "elsewhere": "307", "cut": "unexpected EOF", "long": "aaa…"} {
		if err := client(t, server.URL+"/"+what, "a").Unlock(t.Context()); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 500 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, what := range []string{"silent", "endless"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := client(t, server.URL+"/"+what, "a").Lock(ctx)
		cancel()
		if what == "silent" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if elsewhere != 0 {
		t.Error("another host was asked")
	}
}

func TestF63_WordsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ base, group, id, want string }{
		{"lock.example", "default", "a", "does not begin"}, {"file:///x", "default", "a", "does not begin"}, {"http://[", "default", "a", "does not begin"},
		{"http://l", "", "a", "group"}, {"http://l", "a b", "a", "group"}, {"http://l", "a/b", "a", "group"}, {"http://l", "default", "", "no id"},
		{"http://l", "default", "a\nb", "no id"}, {"http://l", "default", strings.Repeat("a", 200), "no id"},
	} {
		if _, err := fleetlock.New(c.base, c.group, c.id, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// life holds a server to the protocol: K slots, twice is once, and no more than K at once
// when all ask at the same time.
func life(t *testing.T, slots fleetlocktest.Slots) {
	server := httptest.NewServer(&fleetlocktest.Server{Groups: map[string]int{"default": 2}, Slots: slots})
	defer server.Close()
	lock := func(id string) error { return client(t, server.URL, id).Lock(t.Context()) }
	unlock := func(id string) error { return client(t, server.URL, id).Unlock(t.Context()) }
	if err := errors.Join(unlock("never"), lock("a"), lock("a"), lock("b")); err != nil {
		t.Fatal(err)
	}
	var r *fleetlock.Refusal
	if err := lock("c"); !errors.As(err, &r) || r.Mistaken() || r.Value != "all 2 semaphore slots currently locked" {
		t.Fatal(err)
	}
	if err := errors.Join(unlock("a"), unlock("a"), lock("c"), unlock("c"), unlock("b")); err != nil {
		t.Fatal(err)
	}
	c, err := fleetlock.New(server.URL, "none", "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Lock(t.Context()); !errors.As(err, &r) || !r.Mistaken() || r.Kind != "unknown_group" {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	got := make(chan string, 20)
	for i := range 20 {
		all.Go(func() {
			if id := fmt.Sprint("host-", i); lock(id) == nil {
				got <- id
			}
		})
	}
	all.Wait()
	if len(got) != 2 {
		t.Errorf("%d of 20 got one of 2 slots", len(got))
	}
}

func TestServer(t *testing.T) { life(t, &fleetlocktest.Memory{}) }

// TestF64_OneIdTwice: two machines that were made from one image, with its id in it, hold one
// slot. No server can tell them apart; what the other gives back is asked for again right
// before a restart (package machine).
func TestF64_OneIdTwice(t *testing.T) {
	m := &fleetlocktest.Memory{}
	server := httptest.NewServer(&fleetlocktest.Server{Groups: map[string]int{"default": 1}, Slots: m})
	defer server.Close()
	one, two := client(t, server.URL, "same"), client(t, server.URL, "same")
	if err := errors.Join(one.Lock(t.Context()), two.Lock(t.Context()), one.Unlock(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := len(m.Holders("default")); n != 0 {
		t.Errorf("%d", n)
	}
	if err := client(t, server.URL, "third").Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := two.Lock(t.Context()); err == nil {
		t.Error("the one slot is held by two")
	}
}
