package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/toolbox"
)

// Exit is an error with an exit code and no message: the command has printed its result.
type Exit int

// Error is for callers that print it all the same.
func (e Exit) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// Interrupted names the step that the user, or a signal, interrupted.
func Interrupted(err error) error {
	what := strings.TrimSuffix(strings.TrimSuffix(err.Error(), context.Canceled.Error()), ": ")
	if what == err.Error() {
		return fail.Wrap(fail.Canceled, err, "interrupted")
	}
	if what != "" {
		what = ": " + what
	}
	return fail.New(fail.Canceled, "interrupted%s", what) // the cause is that very word
}

// Report prints an error and its hints, each on a line of its own.
func Report(w io.Writer, err error) {
	var code Exit
	var ended *toolbox.ExitError
	if err == nil || errors.As(err, &code) || errors.As(err, &ended) && ended.Err == nil {
		return
	}
	seen := map[string]bool{}
	for _, one := range apart(err) {
		fmt.Fprintf(w, "tbx: %s\n", Clean(one.Error()))
		for _, h := range fail.Hints(one) {
			if !seen[h] {
				fmt.Fprintf(w, "tbx: hint: %s\n", Clean(h))
				seen[h] = true
			}
		}
	}
}

// apart takes apart errors of errors.Join, such as the failures of several things that
// one command worked on.
func apart(err error) []error {
	joined, several := err.(interface{ Unwrap() []error })
	if _, own := err.(*fail.Error); own || !several { //nolint:errorlint // this error itself, not what it wraps
		return []error{err} // with its own hints
	}
	var out []error
	text := make([]string, 0, 2)
	for _, one := range joined.Unwrap() {
		text = append(text, one.Error())
		out = append(out, apart(one)...)
	}
	if strings.Join(text, "\n") != err.Error() {
		return []error{err} // it says more than the parts do
	}
	return out
}

// Clean makes a message safe for a terminal. Messages may hold several lines.
func Clean(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = escape.Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// CodeOf is the one place where errors become exit codes. session: the command's other
// exit codes belong to somebody else's program. Then every failure of tbx is
// toolbox.ExitFailed, so that it cannot be mistaken for the program's.
func CodeOf(err error, session bool) int {
	var own Exit
	var ended *toolbox.ExitError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &own):
		return int(own)
	case errors.As(err, &ended):
		return ended.Code
	case errors.Is(err, fail.Canceled):
		return ExitInterrupt
	case session:
		return toolbox.ExitFailed
	}
	kind := err
	if p := osupdate.ProblemOf(err); p != nil {
		kind = p // the failure of the host counts, not its cause
	}
	for _, c := range ExitCodes() {
		for _, k := range c.Kinds {
			if errors.Is(kind, k.Err) {
				return c.Code
			}
		}
	}
	return ExitFailure
}
