package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Exit codes, documented in docs/exit-codes.md. For run and enter every failure
// of tbx's own is toolbox.ExitFailed, so that it cannot be taken for the command's.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitNotFound   = 3
	exitExists     = 4
	exitUnable     = 5
	exitNeedAnswer = 6
	exitInterrupt  = 130
)

// Main runs tbx with its arguments, the program's name first, and returns its
// exit code.
func Main(args []string, in, out, errs *os.File) int {
	callHost(args[1:])
	settleEnvironment(errs)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env := newEnv(in, out, errs, os.Environ())
	env.signals = signals{cancel: cancel, done: ctx.Done()}
	root := newRoot(env)
	if done, err := env.elsewhere(ctx, root, args); done {
		report(errs, err)
		return exitCode(err, false)
	}
	root.SetArgs(args[1:])
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	env.progress().Close()
	if err != nil && ctx.Err() != nil && !errors.Is(err, fail.Canceled) {
		err = interrupted(err)
	}
	report(errs, err)
	env.details(err)
	return exitCode(err, env.session)
}

// interrupted says what was going on when the user, or a signal, ended it.
func interrupted(err error) error {
	what := strings.TrimSuffix(strings.TrimSuffix(err.Error(), context.Canceled.Error()), ": ")
	if what == err.Error() {
		return fail.Wrap(fail.Canceled, err, "interrupted")
	}
	if what != "" {
		what = ": " + what
	}
	return fail.New(fail.Canceled, "interrupted%s", what) // the cause is that very word
}

// report prints an error and its hints, each on a line of its own.
func report(w io.Writer, err error) {
	var exit *toolbox.ExitError
	if err == nil || errors.As(err, &exit) && exit.Err == nil {
		return
	}
	seen := map[string]bool{}
	for _, one := range apart(err) {
		fmt.Fprintf(w, "tbx: %s\n", clean(one.Error()))
		for _, h := range fail.Hints(one) {
			if !seen[h] {
				fmt.Fprintf(w, "tbx: hint: %s\n", clean(h))
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

// clean makes a message safe for a terminal. Messages may hold several lines.
func clean(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = escape.Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// exitCode is the one place where errors become exit codes. session says that
// the command was one whose other exit codes are somebody else's.
func exitCode(err error, session bool) int {
	var exit *toolbox.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, fail.Canceled):
		return exitInterrupt
	case session:
		return toolbox.ExitFailed
	case hostExit(err) != 0:
		return hostExit(err)
	case errors.Is(err, fail.Usage):
		return exitUsage
	case errors.Is(err, fail.NotFound):
		return exitNotFound
	case errors.Is(err, fail.Exists):
		return exitExists
	case errors.Is(err, fail.Unable):
		return exitUnable
	case errors.Is(err, fail.NeedAnswer):
		return exitNeedAnswer
	}
	return exitFailure
}
