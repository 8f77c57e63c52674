package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// decodeHost decodes the packets of a request.
func decodeHost(packets [][]byte) (*wire.Start, error) {
	var asm wire.Assembler
	for _, p := range packets {
		f, err := wire.Parse(p)
		if err != nil {
			return nil, err
		}
		if s, err := asm.Add(f); s != nil || err != nil {
			return s, err
		}
	}
	return nil, errors.New("the request is not complete")
}

// decodeClient decodes one packet of the host.
func decodeClient(packet []byte) error {
	f, err := wire.Parse(packet)
	if err != nil {
		return err
	}
	switch f.Type {
	case wire.TypeExit:
		_, err = wire.ParseExit(f.Body)
	case wire.TypeDenied:
		_, err = wire.ParseDenied(f.Body)
	case wire.TypeError:
		_, err = wire.ParseFailure(f.Body)
	default:
		_, err = f.Number()
	}
	return err
}

type vector struct {
	name, to, expect string
	packets          [][]byte
}

func vectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	var out []vector
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch key {
			case "to":
				v.to = value
			case "expect":
				v.expect = value
			case "packet":
				p, err := hex.DecodeString(value)
				if err != nil {
					t.Fatal(file, err)
				}
				v.packets = append(v.packets, p)
			}
		}
		out = append(out, v)
	}
	return out
}

// B1 and B2: every vector is taken or refused for the reason that it names.
func TestB1_Vectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			var err error
			if v.to == "host" {
				_, err = decodeHost(v.packets)
			} else {
				err = decodeClient(v.packets[0])
			}
			switch {
			case v.expect == "ok" && err != nil:
				t.Errorf("refused: %v", err)
			case v.expect != "ok" && (err == nil || !strings.Contains(err.Error(), v.expect)):
				t.Errorf("error %v, want one with %q", err, v.expect)
			}
		})
	}
}

func TestStartRoundTrip(t *testing.T) {
	in := &wire.Start{
		Flags: wire.FlagTTYIn | wire.FlagForeground, Token: bytes.Repeat([]byte{7}, 32), Session: "s", Rows: 1, Cols: 2,
		Termios: make([]byte, wire.TermiosSize), Cwd: "/w", Argv: []string{"a", strings.Repeat("b", 300_000), "\xff"}, Env: []string{"A=b"},
	}
	frames, err := in.Frames()
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for _, f := range frames {
		packets = append(packets, f.Append(nil))
	}
	out, err := decodeHost(packets)
	if err != nil || len(frames) != 5 || !reflect.DeepEqual(in, out) {
		t.Errorf("%d frames, %v; %+v", len(frames), err, out)
	}
}

func TestJobRoundTrip(t *testing.T) {
	in := &wire.Job{TTY: 3 | wire.NoPty, Rows: 5, Cols: 6, Termios: []byte{}, Umask: 0o27, Path: "/bin/x", Argv: []string{"x", strings.Repeat("y", 70_000)},
		Env: []string{"A=b", "C="}, Cwd: "/c", AnyCwd: true, Fallback: "/f", File: "/g"}
	frames, err := in.Frames()
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	for _, f := range frames {
		got, err := wire.Parse(f.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, got.Body...)
	}
	out, err := wire.ParseJob(body)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v; %+v", err, out)
	}
}

func TestTooLargeRequestIsRefusedBeforeItIsSent(t *testing.T) {
	for name, s := range map[string]*wire.Start{
		"bytes":     {Argv: []string{"x", strings.Repeat("y", wire.MaxStart)}},
		"arguments": {Argv: make([]string, wire.MaxArgs+1)},
	} {
		s.Argv[0] = "x"
		if _, err := s.Frames(); !errors.Is(err, wire.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A text that is too long or has a NUL still makes a frame that can be read.
func TestTextsAreClipped(t *testing.T) {
	f := wire.Failure{Code: 125, Text: "a\x00b" + strings.Repeat("x", wire.MaxText)}.Frame()
	e, err := wire.ParseFailure(f.Body)
	if err != nil || len(e.Text) != wire.MaxText || !strings.HasPrefix(e.Text, "abx") {
		t.Errorf("%v, %d bytes", err, len(e.Text))
	}
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wire.CloseAll(p[:]) })
	return p[0], p[1]
}

func countFds(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// B3: too many descriptors, or descriptors on a broken packet, leave none open.
func TestB3_DescriptorsOfRefusedPacketsAreClosed(t *testing.T) {
	a, b := pair(t)
	before := countFds(t)
	many := make([]int, 253)
	for _, fds := range [][]int{many, make([]int, 9), {0, 0, 0, 0, 0}} {
		f := wire.Frame{Type: wire.TypeFds}
		if len(fds) == 5 {
			f.Type = 99 // a packet that is wrong itself
		}
		if err := wire.Send(a, f, fds...); err != nil {
			t.Fatal(err)
		}
		if _, got, err := wire.Recv(b, wire.RecvBuffer()); err == nil || got != nil {
			t.Errorf("%d descriptors: %v, %v", len(fds), got, err)
		}
	}
	if after := countFds(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A peer that closes with a packet of ours unread does not hide its own last
// word from us.
func TestLastWordSurvivesReset(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	if err := wire.Send(p[0], wire.Frame{Type: wire.TypeFds}); err != nil {
		t.Fatal(err)
	}
	if err := wire.Send(p[1], wire.Uint32(wire.TypePending, 0, 60)); err != nil {
		t.Fatal(err)
	}
	unix.Close(p[1])
	f, _, err := wire.Recv(p[0], wire.RecvBuffer())
	if n, _ := f.Number(); err != nil || n != 60 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, _, err := wire.Recv(p[0], wire.RecvBuffer()); err != io.EOF {
		t.Errorf("after the last word: %v", err)
	}
}
