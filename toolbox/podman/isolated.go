//go:build remote

package podman

import (
	"context"
	"errors"

	"github.com/containers/podman/v4/pkg/bindings"
	"github.com/containers/podman/v4/pkg/bindings/volumes"

	"github.com/tbx-project/tbx/internal/fail"
)

// pasta reports whether the service's podman prefers pasta to slirp4netns: 5 does,
// and 6 knows nothing else.
func pasta(conn context.Context) bool {
	v := bindings.ServiceVersion(conn)
	return v != nil && v.Major >= 5
}

// RemoveVolume implements toolbox.Engine.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	if err := convert(volumes.Remove(conn, name, nil)); !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}
