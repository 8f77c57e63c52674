package cli

import (
	"errors"

	"github.com/tbx-project/tbx/internal/fail"
)

// ForEach does something to each of several things that the user named. What
// fails for one, or what he says no to, is not left undone for the others; an
// interruption, and a question that nobody can be asked, are the end of it.
func ForEach[T any](e *Env, things []T, do func(T) error) error {
	var failed []error
	for _, thing := range things {
		if err := do(thing); err != nil {
			failed = append(failed, err)
			if e.Interrupted() || errors.Is(err, fail.NeedAnswer) {
				break
			}
		}
	}
	return errors.Join(failed...)
}
