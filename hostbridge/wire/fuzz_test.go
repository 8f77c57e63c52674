package wire_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// How to fuzz: docs/bridge-protocol.md. What a fuzzer found is in testdata/fuzz
// and is tried again by every go test.

// script is packets in a form that a fuzzer can grow: each is u32 size, u32
// count and count bytes, followed by zeros up to size. So a few bytes stand for
// the full packets that a long request is made of.
func script(packets ...[]byte) []byte {
	var out []byte
	for _, p := range packets {
		shown := bytes.TrimRight(p, "\x00")
		out = binary.LittleEndian.AppendUint32(out, uint32(len(p)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(shown)))
		out = append(out, shown...)
	}
	return out
}

func unscript(data []byte) (packets [][]byte) {
	for len(data) >= 8 && len(packets) < 80 { // more than a request may have
		size := int(binary.LittleEndian.Uint32(data) % (wire.HeaderSize + wire.MaxBody + 2))
		count := min(int(binary.LittleEndian.Uint32(data[4:])), len(data)-8, size)
		p := make([]byte, size)
		copy(p, data[8:8+count])
		packets = append(packets, p)
		data = data[8+count:]
	}
	return packets
}

// FuzzStart: no packets make the agent's decoder fail otherwise than by an
// error, and what it takes can be encoded again to the same request.
func FuzzStart(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(script(v.packets...))
	}
	long := &wire.Start{Token: make([]byte, 32), Cwd: "/", Argv: []string{"a", string(bytes.Repeat([]byte{'b'}, 100)), ""}}
	frames, err := long.Frames()
	if err != nil {
		f.Fatal(err)
	}
	first := frames[0] // a request of several parts: an argument that ends in the last one
	first.Flags |= wire.FlagMore
	full := make([]byte, wire.HeaderSize+wire.MaxBody)
	copy(full, wire.Frame{Type: first.Type, Flags: first.Flags, Body: make([]byte, wire.MaxBody)}.Append(nil))
	copy(full[wire.HeaderSize:], first.Body)
	f.Add(script(full, wire.Frame{Type: wire.TypeMore, Body: []byte{0, 0, 0, 0}}.Append(nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeHost(unscript(data))
		if err != nil {
			return
		}
		frames, err := s.Frames()
		if err != nil {
			t.Fatalf("%+v was taken and cannot be sent: %v", s, err)
		}
		var packets [][]byte
		for _, fr := range frames {
			packets = append(packets, fr.Append(nil))
		}
		again, err := decodeHost(packets)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

// FuzzFrame does the same for single packets, as the client reads them from the
// host, the agent from a runner and a runner from the client: a packet has one
// meaning, and a meaning one packet.
func FuzzFrame(f *testing.F) {
	for _, v := range vectors(f) {
		for _, p := range v.packets {
			f.Add(p)
		}
	}
	for _, fr := range []wire.Frame{
		{Type: wire.TypeFds}, {Type: wire.TypeContinued}, wire.Uint32(wire.TypeSignal, wire.FlagForeground, 18),
		wire.Uint32(wire.TypeStopped, 0, 20), wire.Uint32(wire.TypeStarted, 0, 1),
	} {
		f.Add(fr.Append(nil))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		fr, err := wire.Parse(packet)
		if err != nil {
			return
		}
		if again := fr.Append(nil); !bytes.Equal(again, packet) {
			t.Fatalf("packet %x became %x", packet, again)
		}
		var again wire.Frame
		switch fr.Type {
		case wire.TypeExit:
			e, err := wire.ParseExit(fr.Body)
			if err != nil {
				return
			}
			again = e.Frame()
		case wire.TypeDenied:
			d, err := wire.ParseDenied(fr.Body)
			if err != nil {
				return
			}
			again = d.Frame()
		case wire.TypeError:
			e, err := wire.ParseFailure(fr.Body)
			if err != nil {
				return
			}
			again = e.Frame()
		default:
			n, err := fr.Number()
			if err != nil {
				return
			}
			again = wire.Uint32(fr.Type, fr.Flags, n)
		}
		if !bytes.Equal(again.Append(nil), packet) {
			t.Fatalf("packet %x means %+v, which is another", packet, again)
		}
	})
}

// FuzzJob does the same for the job that the agent gives a runner.
func FuzzJob(f *testing.F) {
	for _, j := range []*wire.Job{
		{Path: "/bin/x", Argv: []string{"x"}, Cwd: "/"},
		{TTY: 3 | wire.NoPty, Rows: 5, Cols: 6, Termios: make([]byte, wire.TermiosSize), Umask: 0o27, Path: "/bin/x",
			Argv: []string{"x", "\xff"}, Env: []string{"A=b", "C="}, Cwd: "/c", AnyCwd: true, Fallback: "/f", File: "/g"},
	} {
		frames, err := j.Frames()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frames[0].Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := wire.ParseJob(body)
		if err != nil {
			return
		}
		frames, err := j.Frames()
		if err != nil {
			t.Fatalf("%+v was taken and cannot be sent: %v", j, err)
		}
		var joined []byte
		for _, fr := range frames {
			joined = append(joined, fr.Body...)
		}
		again, err := wire.ParseJob(joined)
		if err != nil || !reflect.DeepEqual(j, again) {
			t.Fatalf("%+v became %+v, %v", j, again, err)
		}
	})
}
