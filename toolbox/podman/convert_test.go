//go:build remote

package podman

import (
	"errors"
	"net/http"
	"testing"

	"github.com/containers/podman/v4/pkg/errorhandling"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// What podman says of a container that it was killed in removing, podman 4.3 and 5.4.
func TestConvertHalfRemoved(t *testing.T) {
	err := convert(&errorhandling.ErrorModel{
		ResponseCode: http.StatusInternalServerError,
		Message:      `getting container from store "e93d5021f6ee": container not known`,
	})
	if !errors.Is(err, toolbox.ErrNoStorage) || errors.Is(err, fail.NotFound) {
		t.Error(err)
	}
}
