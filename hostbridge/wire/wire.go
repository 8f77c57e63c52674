// Package wire is the protocol between a toolbox and the host: frames on a unix socket of
// type SOCK_SEQPACKET, one connection for one command. The kernel keeps the borders of
// packets and of the descriptors that travel with them, so that a frame needs no parsing
// across reads.
//
// It only encodes, decodes and checks limits; permissions are decided elsewhere. It must
// stay small (it is linked into tbx-box): standard library and x/sys, no fmt, no
// reflection. docs/bridge-protocol.md describes the format for other implementations, and
// how to fuzz this one; testdata/vectors holds good and bad examples for all of them.
package wire

import (
	"encoding/binary"
	"errors"
)

// Version is the one version of the protocol that this code uses. A frame of another
// version is refused, so that a new client and an old agent report that instead of
// guessing.
const Version = 1

// The limits. A peer that exceeds one is in error; nothing is cut silently.
const (
	HeaderSize = 8
	MaxBody    = 64 << 10 // bytes of body in one packet; a packet of 212 KB would exceed the default net.core.wmem_default
	MaxStart   = 4 << 20  // bytes of body of one request over all its frames: execve(2) takes little more
	MaxArgs    = 64 << 10 // arguments: as many as xargs makes of single characters
	MaxEnv     = 32       // variables
	MaxValue   = 4096     // bytes of one variable, name and = included
	MaxPath    = 4096     // bytes of the working directory, PATH_MAX
	MaxToken   = 64       // bytes
	MaxSession = 64       // bytes
	MaxText    = 8 << 10  // bytes of one text from the host: reason, hint, rule

	// TermiosSize is the length of Start.Termios: four flag words, the line
	// discipline and 19 control characters, as TCGETS gives them.
	TermiosSize = 36
)

// Type is the type of a frame.
type Type uint8

// The frames of a client.
const (
	TypeStart  Type = 1 // the request, or its first part
	TypeMore   Type = 2 // the next part of a request that did not fit
	TypeFds    Type = 3 // no body; the descriptors of the request: 0, 1, 2, working directory, and the file if FlagFile was set
	TypeSignal Type = 4 // u32 signal number, for the command's process group
)

// The frames of the host.
const (
	TypePending   Type = 16 // u32 seconds for which the owner's answer is awaited
	TypeDenied    Type = 17 // reason, rule, hint; the connection ends
	TypeStarted   Type = 18 // u32 process id on the host; one descriptor, the master, if there is a pty
	TypeStopped   Type = 19 // u32 signal that stopped the command
	TypeExit      Type = 20 // u8 kind, u8 core dumped, u16 zero, u32 code or signal; the connection ends
	TypeContinued Type = 22 // no body; answers SIGNAL(CONT): what is typed from now on finds the command running
	TypeError     Type = 21 // u32 exit code for the client (125, 126, 127), text, hint; the connection ends
)

// Flags of a frame. A flag that its type does not know is an error.
const (
	FlagTTYIn      = 1 << 0 // START: descriptor 0 is a terminal in the toolbox
	FlagTTYOut     = 1 << 1 // START: descriptor 1 is
	FlagTTYErr     = 1 << 2 // START: descriptor 2 is
	FlagForeground = 1 << 3 // START, SIGNAL(CONT): the client reads its terminal; give the command the foreground
	FlagVerb       = 1 << 4 // START: argv is a verb and its arguments, not a program
	FlagFile       = 1 << 5 // START: a fifth descriptor follows, an O_PATH of the file that the last argument names
	FlagDetach     = 1 << 6 // START: the command may outlive the client
	FlagMore       = 1 << 7 // START, MORE: another MORE frame follows
	FlagHostCwd    = 1 << 8 // START: the working directory is a path of the host, to be taken as it is

	TTYMask = FlagTTYIn | FlagTTYOut | FlagTTYErr
)

// Errors that a caller distinguishes.
var (
	ErrTooLarge = errors.New("wire: the request is larger than the protocol allows")
	ErrVersion  = errors.New("wire: the other side uses another version of the protocol")
)

// Frame is one packet without its header.
type Frame struct {
	Type  Type
	Flags uint16
	Body  []byte
}

// Append adds the packet of f to dst. Header: u8 type, u8 version, u16 flags,
// u32 length of the body; little-endian, as everything here.
func (f Frame) Append(dst []byte) []byte {
	dst = append(dst, byte(f.Type), Version)
	dst = binary.LittleEndian.AppendUint16(dst, f.Flags)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f.Body)))
	return append(dst, f.Body...)
}

// Parse reads one packet. The body is a part of packet, not a copy.
func Parse(packet []byte) (Frame, error) {
	if len(packet) < HeaderSize {
		return Frame{}, errors.New("wire: packet shorter than a header")
	}
	if packet[1] != Version {
		return Frame{}, ErrVersion
	}
	f := Frame{
		Type:  Type(packet[0]),
		Flags: binary.LittleEndian.Uint16(packet[2:]),
		Body:  packet[HeaderSize:],
	}
	known, ok := knownFlags(f.Type)
	switch {
	case !ok:
		return Frame{}, errors.New("wire: unknown type of frame")
	case f.Flags&^known != 0:
		return Frame{}, errors.New("wire: flag unknown for this type of frame")
	case len(f.Body) > MaxBody:
		return Frame{}, errors.New("wire: packet longer than allowed")
	case binary.LittleEndian.Uint32(packet[4:]) != uint32(len(f.Body)):
		return Frame{}, errors.New("wire: packet is not as long as its header says")
	}
	return f, nil
}

func knownFlags(t Type) (flags uint16, ok bool) {
	switch t {
	case TypeStart:
		return TTYMask | FlagForeground | FlagVerb | FlagFile | FlagDetach | FlagMore | FlagHostCwd, true
	case TypeMore, TypeJob:
		return FlagMore, true
	case TypeSignal:
		return FlagForeground, true
	case TypeFds, TypePending, TypeDenied, TypeStarted, TypeStopped, TypeContinued, TypeExit, TypeError, TypeIdle:
		return 0, true
	}
	return 0, false
}

// Uint32 is a frame whose body is one number: SIGNAL, PENDING, STARTED, STOPPED.
func Uint32(t Type, flags uint16, v uint32) Frame {
	return Frame{Type: t, Flags: flags, Body: binary.LittleEndian.AppendUint32(nil, v)}
}

// Number reads the body of such a frame.
func (f Frame) Number() (uint32, error) {
	if len(f.Body) != 4 {
		return 0, errors.New("wire: body is not one number")
	}
	return binary.LittleEndian.Uint32(f.Body), nil
}

// reader takes a body apart; the first error sticks.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(msg string) {
	if r.err == nil {
		r.err = errors.New("wire: " + msg)
	}
	r.rest = nil
}

func (r *reader) uint32() uint32 {
	if len(r.rest) < 4 {
		r.fail("body ends inside a number")
		return 0
	}
	v := binary.LittleEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return v
}

// bytes reads u32 length and that many bytes, at most limit.
func (r *reader) bytes(limit int, what string) []byte {
	n := r.uint32()
	switch {
	case r.err != nil:
		return nil
	case n > uint32(limit):
		r.fail(what + " longer than allowed")
		return nil
	case int(n) > len(r.rest):
		r.fail("body ends inside " + what)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// str is bytes without NUL: no such string can reach execve(2) or open(2).
func (r *reader) str(limit int, what string) string {
	b := r.bytes(limit, what)
	for _, c := range b {
		if c == 0 {
			r.fail("NUL inside " + what)
			return ""
		}
	}
	return string(b)
}

// strs reads u32 count and that many strings.
func (r *reader) strs(count, limit int, what string) []string {
	n := r.uint32()
	if r.err != nil {
		return nil
	}
	if n > uint32(count) {
		r.fail("more " + what + "s than allowed")
		return nil
	}
	if int(n)*4 > len(r.rest) { // before anything is allocated for a count that lies
		r.fail("body ends inside " + what)
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		s := r.str(limit, what)
		if r.err != nil {
			return nil
		}
		out = append(out, s)
	}
	return out
}

func (r *reader) done() error {
	if r.err == nil && len(r.rest) != 0 {
		r.fail("bytes after the end of the body")
	}
	return r.err
}

// split cuts a body into full frames and a last one.
func split(first Type, flags uint16, body []byte) []Frame {
	var out []Frame
	t := first
	for len(body) > MaxBody {
		out = append(out, Frame{t, flags | FlagMore, body[:MaxBody]})
		body = body[MaxBody:]
		flags = 0
		if first == TypeStart {
			t = TypeMore
		}
	}
	return append(out, Frame{t, flags, body})
}

func appendString(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(list)))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}
