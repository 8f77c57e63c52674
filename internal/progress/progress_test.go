package progress_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/progress"
)

// screen is what is written, for one who reads while it is.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// await gives the text once it holds word.
func (s *screen) await(t *testing.T, word string) string {
	t.Helper()
	for range 1000 {
		s.mu.Lock()
		text := s.text.String()
		s.mu.Unlock()
		if strings.Contains(text, word) {
			return text
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q never came", word)
	return ""
}

func TestOnATerminalAStageVanishes(t *testing.T) {
	s := &screen{}
	d := progress.New(s, true, false)
	d.Stage("first")
	s.await(t, "first …")
	d.Update("first\x1b", "a", "b")
	d.Line("stays")
	d.Close()
	want := "\x1b[?7l\r\x1b[Jfirst …\r\x1b[?7h" +
		"\x1b[?7l\r\x1b[Jfirst\\x1b …\r\na\r\nb\x1b[2A\r\x1b[?7h" +
		"\r\x1b[J" + "stays\n" +
		"\x1b[?7l\r\x1b[Jfirst\\x1b …\r\na\r\nb\x1b[2A\r\x1b[?7h" +
		"\r\x1b[J"
	if got := s.await(t, "stays"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestElsewhereAStageIsALine(t *testing.T) {
	s := &screen{}
	d := progress.New(s, false, false)
	d.Stage("first")
	s.await(t, "first ...\n")
	d.Update("more", "below")
	d.Line("stays")
	d.Warn("odd", "do this")
	d.Warn("odd", "do this")
	d.Close()
	if got, want := s.await(t, "stays"), "tbx: first ...\nstays\ntbx: warning: odd\ntbx: hint: do this\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuietLeavesWarningsOnly(t *testing.T) {
	s := &screen{}
	d := progress.New(s, true, true)
	d.Stage("first")
	d.Update("second")
	d.Line("third")
	d.Warn("odd", "")
	if got, want := s.await(t, "odd"), "tbx: warning: odd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
