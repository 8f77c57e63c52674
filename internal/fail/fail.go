// Package fail has the few kinds of failure that tbx distinguishes, and the hints of an
// error.
//
// A domain package returns fail.New(fail.NotFound, ...) or wraps a cause with fail.Wrap;
// cmd alone maps kinds to exit codes and prints hints. This package must not print, exit
// or know any exit code.
package fail

import (
	"errors"
	"fmt"
)

// The kinds. Test for one with errors.Is(err, fail.NotFound).
var (
	Usage      = errors.New("usage")            // the call's words are wrong
	NotFound   = errors.New("not found")        // the named object is not there
	Exists     = errors.New("exists")           // the named object is there already
	Unable     = errors.New("machine not able") // this machine cannot, until its owner changes something
	NeedAnswer = errors.New("answer needed")    // a question is open and nobody can be asked
	Canceled   = errors.New("canceled by user") // the user said no, or pressed Ctrl-C
)

// Error is a message of one kind, with its cause and the next steps.
type Error struct {
	Kind  error    // one of the kinds above; nil for a plain failure
	Msg   string   // a sentence that names the object first: lower case, no full stop
	Cause error    // may be nil
	Hints []string // what the user can do next, each a sentence of its own
}

// Error returns the message and, where there is one, the cause behind a colon.
func (e *Error) Error() string {
	switch {
	case e.Cause == nil:
		return e.Msg
	case e.Msg == "":
		return e.Cause.Error()
	}
	return e.Msg + ": " + e.Cause.Error()
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error {
	var out []error
	if e.Kind != nil {
		out = append(out, e.Kind)
	}
	if e.Cause != nil {
		out = append(out, e.Cause)
	}
	return out
}

// New returns an error of that kind. kind may be nil.
func New(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of that kind with a message in front of its cause.
func Wrap(kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...), Cause: cause}
}

// Hint adds one sentence on what to do next and returns e.
func (e *Error) Hint(format string, args ...any) *Error {
	e.Hints = append(e.Hints, fmt.Sprintf(format, args...))
	return e
}

// Hints collects the hints of err and of everything that it wraps, outermost first.
func Hints(err error) []string {
	var out []string
	walk(err, func(e *Error) { out = append(out, e.Hints...) })
	return out
}

func walk(err error, visit func(*Error)) {
	for err != nil {
		if e, ok := err.(*Error); ok { //nolint:errorlint // this walks the chain itself
			visit(e)
		}
		switch u := err.(type) { //nolint:errorlint // as above
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				walk(inner, visit)
			}
			return
		default:
			return
		}
	}
}
