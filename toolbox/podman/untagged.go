//go:build !remote

package podman

import (
	"context"
	"net/http"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Engine is what a build without tags has. podman's bindings, built so, want the
// headers of five C libraries; everything else of tbx is built and tested alike.
type Engine struct{ toolbox.Engine }

// Connect says how to build tbx.
func Connect(ctx context.Context, dir string) (*Engine, error) {
	if _, err := service(ctx, dir); err != nil {
		return nil, err
	}
	return nil, fail.New(fail.Unable, "this tbx was built without podman's bindings").Hint("build it with make, which sets the build tags")
}

// Client is for package images/podman.
func (e *Engine) Client() *http.Client { return nil }

// ImageNames returns the names of all images, for completion.
func (e *Engine) ImageNames(context.Context) ([]string, error) { return nil, nil }
