package wire

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Start is a request: what a client in a toolbox asks the host to run.
type Start struct {
	Flags   uint16   // of the START frame, FlagMore aside
	Token   []byte   // from the toolbox's bridge directory; attribution, see docs/bridge-protocol.md
	Session string   // of the `tbx enter` that the client descends from; may be empty
	Rows    uint16   // size of the terminal, if there is one
	Cols    uint16   //
	Termios []byte   // its settings, TermiosSize bytes, or none
	Cwd     string   // working directory as the toolbox names it
	Argv    []string // at least one; the first is not empty and does not begin with '-'
	Env     []string // NAME=value; the host passes on only what it knows to be harmless
}

// Frames encodes s, in as many frames as it needs, after checking what the
// other side would check.
func (s *Start) Frames() ([]Frame, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var b []byte
	b = appendString(b, string(s.Token))
	b = appendString(b, s.Session)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.Rows)|uint32(s.Cols)<<16)
	b = appendString(b, string(s.Termios))
	b = appendString(b, s.Cwd)
	b = appendStrings(b, s.Argv)
	b = appendStrings(b, s.Env)
	if len(b) > MaxStart {
		return nil, ErrTooLarge
	}
	return split(TypeStart, s.Flags, b), nil
}

func (s *Start) check() error {
	switch {
	case len(s.Argv) == 0:
		return errors.New("wire: no argument")
	case s.Argv[0] == "":
		return errors.New("wire: the command's name is empty")
	case s.Argv[0][0] == '-':
		return errors.New("wire: the command's name begins with '-'") // it would be read as an option further on, CVE-2024-32462
	case len(s.Argv) > MaxArgs, len(s.Env) > MaxEnv:
		return ErrTooLarge
	case len(s.Termios) != 0 && len(s.Termios) != TermiosSize:
		return errors.New("wire: terminal settings of a wrong length")
	}
	for _, kv := range s.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" {
			return errors.New("wire: a variable without a name")
		}
	}
	return nil
}

// Assembler puts a request together from its frames. The zero value is ready.
type Assembler struct {
	flags uint16
	body  []byte
	begun bool
}

// Add takes the next frame, copying what it keeps. It returns the request once
// the last frame is there and nil before.
func (a *Assembler) Add(f Frame) (*Start, error) {
	if want := map[bool]Type{false: TypeStart, true: TypeMore}[a.begun]; f.Type != want {
		return nil, errors.New("wire: frame out of order")
	}
	if !a.begun {
		a.begun, a.flags = true, f.Flags&^FlagMore
	}
	if len(a.body)+len(f.Body) > MaxStart {
		return nil, ErrTooLarge
	}
	a.body = append(a.body, f.Body...)
	if f.Flags&FlagMore != 0 {
		if len(f.Body) != MaxBody { // else a flood of tiny frames
			return nil, errors.New("wire: a part that is not the last must be full")
		}
		return nil, nil
	}
	return parseStart(a.flags, a.body)
}

func parseStart(flags uint16, body []byte) (*Start, error) {
	r := reader{rest: body}
	s := &Start{Flags: flags}
	s.Token = r.bytes(MaxToken, "token")
	s.Session = r.str(MaxSession, "session")
	size := r.uint32()
	s.Rows, s.Cols = uint16(size), uint16(size>>16)
	s.Termios = r.bytes(TermiosSize, "terminal settings")
	s.Cwd = r.str(MaxPath, "working directory")
	s.Argv = r.strs(MaxArgs, MaxStart, "argument")
	s.Env = r.strs(MaxEnv, MaxValue, "variable")
	if err := r.done(); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}
