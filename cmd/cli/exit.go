package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Exit codes, documented in docs/exit-codes.md. For run and enter every failure
// of tbx's own is toolbox.ExitFailed, so that it cannot be taken for the command's.
const (
	ExitOK         = 0
	ExitFailure    = 1
	ExitUsage      = 2
	ExitNotFound   = 3
	ExitExists     = 4
	ExitUnable     = 5
	ExitNeedAnswer = 6
	ExitInterrupt  = 130
)

// Interrupted says what was going on when the user, or a signal, ended it.
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
	var exit *toolbox.ExitError
	if err == nil || errors.As(err, &exit) && exit.Err == nil {
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

// apart takes apart what errors.Join put together, such as the failures of
// several things that one command was about.
func apart(err error) []error {
	joined, several := err.(interface{ Unwrap() []error })
	if _, own := err.(*fail.Error); own || !several {
		return []error{err} // with its own hints
	}
	var out []error
	text := make([]string, 0, 2)
	for _, one := range joined.Unwrap() {
		text = append(text, one.Error())
		out = append(out, apart(one)...)
	}
	if strings.Join(text, "\n") != err.Error() {
		return []error{err} // it says more than they do
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

// ExitCode is the one place where errors become exit codes. session says that
// the command was one whose other exit codes are somebody else's.
func ExitCode(err error, session bool) int {
	var exit *toolbox.ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, fail.Canceled):
		return ExitInterrupt
	case session:
		return toolbox.ExitFailed
	case hostExit(err) != 0:
		return hostExit(err)
	case errors.Is(err, fail.Usage):
		return ExitUsage
	case errors.Is(err, fail.NotFound):
		return ExitNotFound
	case errors.Is(err, fail.Exists):
		return ExitExists
	case errors.Is(err, fail.Unable):
		return ExitUnable
	case errors.Is(err, fail.NeedAnswer):
		return ExitNeedAnswer
	}
	return ExitFailure
}
