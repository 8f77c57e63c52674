package wire

import (
	"encoding/binary"
	"errors"
)

// Denied tells a client that the owner's policy, or the owner, said no.
type Denied struct {
	Reason string // a sentence
	Rule   string // file:line that decided; empty if no rule did
	Hint   string // what the owner can do about it
}

// Frame encodes d; longer texts than allowed are cut.
func (d Denied) Frame() Frame {
	b := appendString(nil, clip(d.Reason))
	b = appendString(b, clip(d.Rule))
	return Frame{Type: TypeDenied, Body: appendString(b, clip(d.Hint))}
}

// ParseDenied reads the body of a DENIED frame.
func ParseDenied(body []byte) (Denied, error) {
	r := reader{rest: body}
	d := Denied{Reason: r.str(MaxText, "text"), Rule: r.str(MaxText, "text"), Hint: r.str(MaxText, "text")}
	return d, r.done()
}

// Failure tells a client that its command could not be run.
type Failure struct {
	Code uint32 // exit code: 125 the bridge failed, 126 not executable, 127 not found
	Text string
	Hint string
}

// Frame encodes e; longer texts than allowed are cut.
func (e Failure) Frame() Frame {
	b := binary.LittleEndian.AppendUint32(nil, e.Code)
	b = appendString(b, clip(e.Text))
	return Frame{Type: TypeError, Body: appendString(b, clip(e.Hint))}
}

// ParseFailure reads the body of an ERROR frame.
func ParseFailure(body []byte) (Failure, error) {
	r := reader{rest: body}
	e := Failure{Code: r.uint32(), Text: r.str(MaxText, "text"), Hint: r.str(MaxText, "text")}
	if r.err == nil && (e.Code < 125 || e.Code > 127) {
		r.fail("exit code that is none of the bridge's")
	}
	return e, r.done()
}

// Exit is how a command ended.
type Exit struct {
	Signaled bool
	Core     bool   // a core was dumped
	Code     uint32 // exit code 0..255, or the signal's number 1..64
}

// Frame encodes e.
func (e Exit) Frame() Frame {
	b := []byte{0, 0, 0, 0}
	if e.Signaled {
		b[0] = 1
	}
	if e.Core {
		b[1] = 1
	}
	return Frame{Type: TypeExit, Body: binary.LittleEndian.AppendUint32(b, e.Code)}
}

// ParseExit reads the body of an EXIT frame.
func ParseExit(body []byte) (Exit, error) {
	if len(body) != 8 || body[0] > 1 || body[1] > 1 || body[2] != 0 || body[3] != 0 {
		return Exit{}, errors.New("wire: malformed EXIT")
	}
	e := Exit{body[0] == 1, body[1] == 1, binary.LittleEndian.Uint32(body[4:])}
	if e.Signaled && (e.Code < 1 || e.Code > 64) || !e.Signaled && (e.Code > 255 || e.Core) {
		return Exit{}, errors.New("wire: EXIT with an impossible code")
	}
	return e, nil
}

// clip cuts a text of our own to the limit and drops NULs, which no text may hold.
func clip(s string) string {
	b := make([]byte, 0, min(len(s), MaxText))
	for i := 0; i < len(s) && len(b) < MaxText; i++ {
		if s[i] != 0 {
			b = append(b, s[i])
		}
	}
	return string(b)
}
