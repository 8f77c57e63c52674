package wire

import (
	"encoding/binary"
	"errors"
)

// Messages between an agent and its runners never travel to or from a toolbox. They use
// the encoding of the public protocol, but are not part of it.
const (
	TypeJob  Type = 64 // the agent's order
	TypeIdle Type = 65 // no body; the runner takes another order

	// NoPty, in Job.TTY, asks for /dev/null in place of terminals: for
	// launchers whose children outlive a terminal.
	NoPty = 1 << 15
)

// maxJobEnv is what a whole environment of a host session may hold.
const maxJobEnv = 4096

// How Job.AnyCwd and Job.Exact are encoded.
const (
	anyCwd   = 1 << 0
	exactCwd = 1 << 1
)

// Job is a request that was allowed, with everything resolved on the host.
type Job struct {
	TTY      uint16 // TTY*, Foreground, File, Detach flags of the request, or NoPty
	Rows     uint16
	Cols     uint16
	Termios  []byte
	Umask    uint32
	Path     string   // program, absolute
	Argv     []string // as the program shall see them
	Env      []string // complete
	Cwd      string   // host path that must be the directory of the 4th descriptor; with AnyCwd it need not
	AnyCwd   bool
	Exact    bool   // Cwd has no links in its name, and one that has come there since is not followed
	Fallback string // host directory to use where Cwd is not shared; empty: refuse
	// File is a path of the host without links. It must lead to the file of the 5th
	// descriptor and to the one that the agent sends, and replaces the last argument.
	File string
}

// Frames encodes j.
func (j *Job) Frames() ([]Frame, error) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(j.TTY))
	b = binary.LittleEndian.AppendUint32(b, uint32(j.Rows)|uint32(j.Cols)<<16)
	b = binary.LittleEndian.AppendUint32(b, j.Umask)
	cwd := uint32(0)
	if j.AnyCwd {
		cwd |= anyCwd
	}
	if j.Exact {
		cwd |= exactCwd
	}
	b = binary.LittleEndian.AppendUint32(b, cwd)
	for _, s := range []string{string(j.Termios), j.Path, j.Cwd, j.Fallback, j.File} {
		b = appendString(b, s)
	}
	b = appendStrings(b, j.Argv)
	b = appendStrings(b, j.Env)
	if len(b) > MaxStart {
		return nil, ErrTooLarge
	}
	return split(TypeJob, 0, b), nil
}

// ParseJob reads the joined bodies of the frames of a job.
func ParseJob(body []byte) (*Job, error) {
	r := reader{rest: body}
	j := &Job{TTY: uint16(r.uint32())}
	size := r.uint32()
	j.Rows, j.Cols = uint16(size), uint16(size>>16)
	j.Umask = r.uint32()
	cwd := r.uint32()
	j.AnyCwd, j.Exact = cwd&anyCwd != 0, cwd&exactCwd != 0
	j.Termios = r.bytes(TermiosSize, "terminal settings")
	for _, s := range []*string{&j.Path, &j.Cwd, &j.Fallback, &j.File} {
		*s = r.str(MaxStart, "path")
	}
	j.Argv = r.strs(MaxArgs+16, MaxStart, "argument")
	j.Env = r.strs(maxJobEnv, MaxStart, "variable")
	if r.err == nil && (j.Path == "" || len(j.Argv) == 0) {
		return nil, errors.New("wire: a job without a program")
	}
	return j, r.done()
}
