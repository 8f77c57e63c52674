package cli

import (
	"errors"

	"github.com/tbx-project/tbx/internal/fail"
)

// ForEach calls do for each of several things that the user named. A failure, or a No of
// the user, does not stop the others. An interruption does, and so does a question that
// nobody can answer.
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
