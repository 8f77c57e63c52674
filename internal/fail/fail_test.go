package fail_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

func TestKindCauseAndHintsSurviveWrapping(t *testing.T) {
	inner := fail.Wrap(fail.Unable, io.ErrUnexpectedEOF, "podman socket").Hint("start podman")
	err := fmt.Errorf("toolbox web: %w", fail.Wrap(nil, inner, "start").Hint("look at tbx logs web"))
	if !errors.Is(err, fail.Unable) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("kind or cause lost in %v", err)
	}
	if errors.Is(err, fail.NotFound) {
		t.Fatal("matches a kind that it is not")
	}
	if got, want := err.Error(), "toolbox web: start: podman socket: unexpected EOF"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if got, want := fail.Hints(err), []string{"look at tbx logs web", "start podman"}; !reflect.DeepEqual(got, want) {
		t.Errorf("hints %q, want %q", got, want)
	}
}
