package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

func TestExitCode(t *testing.T) {
	own := func(code int, err error) error { return &toolbox.ExitError{Code: code, Err: err} }
	for _, c := range []struct {
		name          string
		err           error
		code, session int // session: the code of run and enter
	}{
		{"success", nil, 0, 0},
		{"a failure of no kind", errors.New("x"), 1, 125},
		{"a failure with a hint", fail.New(nil, "x").Hint("y"), 1, 125},
		{"usage", fail.New(fail.Usage, "x"), 2, 125},
		{"not found", fail.New(fail.NotFound, "x"), 3, 125},
		{"exists", fail.New(fail.Exists, "x"), 4, 125},
		{"this machine cannot", fail.New(fail.Unable, "x"), 5, 125},
		{"an answer is needed", fail.New(fail.NeedAnswer, "x"), 6, 125},
		{"canceled", fail.New(fail.Canceled, "x"), 130, 130},
		{"interrupted, whatever came of it", fail.Wrap(fail.Canceled, fail.New(fail.NotFound, "x"), "interrupted"), 130, 130},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", fail.New(fail.Exists, "x"))), 4, 125},
		{"several at once", errors.Join(fail.New(nil, "x"), fail.New(fail.NotFound, "y")), 3, 125},
		{"the command's own 0", own(0, nil), 0, 0},
		{"the command's own", own(42, nil), 42, 42},
		{"the command's own, like one of tbx's", own(3, nil), 3, 3},
		{"killed by signal 9", own(128+9, nil), 137, 137},
		{"no such command", own(127, fail.New(fail.NotFound, "x")), 127, 127},
		{"a command that cannot be run", own(126, fail.New(fail.Unable, "x")), 126, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := CodeOf(c.err, false); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			if got := CodeOf(c.err, true); got != c.session {
				t.Errorf("exit code of a session %d, want %d", got, c.session)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	for err, want := range map[error]string{
		context.Canceled: "interrupted",
		fail.Wrap(nil, context.Canceled, "image x: pull"): "interrupted: image x: pull",
		fail.New(nil, "image x: broken"):                  "interrupted: image x: broken",
	} {
		if got := Interrupted(err); got.Error() != want || CodeOf(got, true) != ExitInterrupt {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"the command's own affair", &toolbox.ExitError{Code: 3}, ""},
		{"a code of tbx's", &toolbox.ExitError{Code: 127, Err: errors.New("no x")}, "tbx: no x\n"},
		{"cause and hints, each hint once", fail.Wrap(nil, fail.New(nil, "b").Hint("h").Hint("i"), "a").Hint("h"), "tbx: a: b\ntbx: hint: h\ntbx: hint: i\n"},
		{"several failures, each with its hints", errors.Join(fail.New(nil, "a").Hint("h"), errors.Join(fail.New(nil, "b").Hint("h").Hint("i"))), "tbx: a\ntbx: hint: h\ntbx: b\ntbx: hint: i\n"},
		{"the hint over several", fail.Wrap(nil, errors.Join(errors.New("a"), errors.New("b")), "").Hint("h"), "tbx: a\nb\ntbx: hint: h\n"},
		{"what a terminal would act on", fail.New(nil, "a\x1b[2J\u202e\n\x00b").Hint("\x07"), "tbx: a\\x1b[2J\\u202e\n\\x00b\ntbx: hint: \\a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			Report(&b, c.err)
			if b.String() != c.want {
				t.Errorf("got %q, want %q", b.String(), c.want)
			}
		})
	}
}
