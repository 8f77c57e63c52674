package hostbridge

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unixPair is a connection, both ends.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// TestPromptStays: a terminal whose owner was away for one question is asked the
// next one. What they say to the old one, even in two parts, is no answer to it.
func TestPromptStays(t *testing.T) {
	agent, terminal := unixPair(t)
	var p prompts
	go p.attach(agent)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		n := len(p.open)
		p.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the prompt is not attached")
		}
	}
	if _, err := terminal.Write([]byte(`{"seq":1,`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if yes, err := p.Ask(ctx, Question{Seq: 1}); yes || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) { // of the question, or of writing it
		t.Fatalf("without an answer: %t, %v", yes, err)
	}
	dec := json.NewDecoder(terminal)
	answered := make(chan error, 1)
	go func() {
		var q Question
		err := dec.Decode(&q) // the old one
		if err == nil {
			_, err = terminal.Write([]byte("\"yes\":true}\n"))
		}
		if err == nil {
			err = dec.Decode(&q)
		}
		if err == nil {
			err = json.NewEncoder(terminal).Encode(reply{q.Seq, q.What == "two"})
		}
		answered <- err
	}()
	if yes, err := p.Ask(t.Context(), Question{Seq: 2, What: "two"}); !yes || err != nil {
		t.Errorf("the next question: %t, %v", yes, err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if _, err := terminal.Write([]byte("nonsense\n")); err != nil {
		t.Fatal(err)
	}
	if yes, err := p.Ask(t.Context(), Question{Seq: 3}); yes || err == nil {
		t.Errorf("nonsense: %t, %v", yes, err)
	}
}

// An agent that ends late leaves the socket of the next one.
func TestB7_SocketOfTheNextAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	first, err := listen(path, "unix", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	second, err := listen(path, "unix", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second socket went with the first: %v", err)
	}
	second.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("a socket is left")
	}
}
