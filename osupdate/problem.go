package osupdate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Problem is a kind of failure of a host update, for errors.Is. The errors
// themselves are [fail.Error] values whose Kind is one of those below.
type Problem struct {
	Name string // stable, for JSON
}

func (p *Problem) Error() string { return p.Name }

// The kinds of failure.
var (
	ErrBackend     = &Problem{"backend failed"}
	ErrNotImage    = &Problem{"not image-based"}
	ErrInContainer = &Problem{"in a container"}
	ErrUnsupported = &Problem{"not supported"}
	ErrManaged     = &Problem{"managed by another agent"}
	ErrPermission  = &Problem{"permission"}
	ErrSignature   = &Problem{"signature"}
	ErrConflict    = &Problem{"package conflict"}
	ErrDowngrade   = &Problem{"downgrade"}
	ErrSpace       = &Problem{"no space"}
	ErrEtcMerge    = &Problem{"/etc merge"}
	ErrFinalize    = &Problem{"finalisation failed"}
	ErrNotFound    = &Problem{"no such deployment or ref"}
	ErrNoRollback  = &Problem{"no rollback"}
	ErrCorrupt     = &Problem{"corrupt"}
	ErrUnverified  = &Problem{"result not as planned"}
	ErrUnsafe      = &Problem{"would leave no way back"}
	ErrInhibited   = &Problem{"inhibited"} // the machine may not be restarted now
	ErrNetwork     = &Problem{"network"}
	ErrTimeout     = &Problem{"timed out"}
	ErrBusy        = &Problem{"busy"}
	ErrLocalMods   = &Problem{"local modifications"} // bootc's refusal; Host routes to rpm-ostree
	ErrBadOutput   = &Problem{"unreadable answer"}
)

// Problems returns every kind, to decode root's answer and for the documents.
func Problems() []*Problem {
	return []*Problem{
		ErrBackend, ErrNotImage, ErrInContainer, ErrUnsupported, ErrManaged, ErrPermission, ErrSignature,
		ErrConflict, ErrDowngrade, ErrSpace, ErrEtcMerge, ErrFinalize, ErrNotFound, ErrNoRollback, ErrCorrupt,
		ErrUnverified, ErrUnsafe, ErrInhibited, ErrNetwork, ErrTimeout, ErrBusy, ErrLocalMods, ErrBadOutput,
	}
}

// ProblemOf returns the kind of err, or nil if it is not of this package.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// Unsupported returns the error for a verb that the backend does not have, with a reason
// and an alternative.
func Unsupported(kind Kind, verb Verb, why string) error {
	e := fail.New(ErrUnsupported, "%s cannot %s", kind, phrase(Capability(verb)))
	if why != "" {
		e.Hint("%s", why)
	}
	return e
}

// ToolError is the failure of an upstream program: the exact command and its output.
// Every classified error wraps it, for --verbose.
type ToolError struct {
	Argv   []string
	Code   int    // -1 when a signal ended it
	Stderr string // the tail, at most 64 KiB
	Stdout string // the tail, at most 64 KiB
}

// Error names the program, its code and the last line that it wrote.
func (e *ToolError) Error() string {
	name := "command"
	if len(e.Argv) > 0 {
		name = e.Argv[0][strings.LastIndexByte(e.Argv[0], '/')+1:]
	}
	if line := e.lastLine(); line != "" {
		return fmt.Sprintf("%s ended with code %d: %s", name, e.Code, line)
	}
	return fmt.Sprintf("%s ended with code %d and printed nothing", name, e.Code)
}

// Text returns all output of the program, stderr first.
func (e *ToolError) Text() string { return colours().ReplaceAllString(e.Stderr+e.Stdout, "") }

var colours = pattern.Lazy("\x1b\\[[0-9;]*m")

func (e *ToolError) lastLine() string {
	for _, s := range []string{e.Stderr, e.Stdout} {
		if s = strings.TrimSpace(colours().ReplaceAllString(s, "")); s != "" {
			return strings.TrimPrefix(s[strings.LastIndexByte(s, '\n')+1:], "error: ")
		}
	}
	return ""
}

// ProblemNamed returns the kind with that name, or ErrBackend.
func ProblemNamed(name string) *Problem {
	for _, p := range Problems() {
		if p.Name == name {
			return p
		}
	}
	return ErrBackend
}
