//go:build remote

package podman

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containers/common/pkg/capabilities"
	"github.com/containers/podman/v4/pkg/bindings"
	"github.com/containers/podman/v4/pkg/bindings/volumes"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// dropped are all capabilities but those kept, one by one: with "all" dropped
// and some added, podman gives the added ones to the user as ambient.
func dropped() []string {
	var out []string
	kept := toolbox.KeptCapabilities()
	for _, c := range capabilities.AllCapabilities() {
		if !slices.Contains(kept, strings.TrimPrefix(c, "CAP_")) {
			out = append(out, c)
		}
	}
	return out
}

// pasta says whether the service's podman prefers pasta to slirp4netns: 5 does,
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
