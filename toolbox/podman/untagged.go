//go:build !remote

package podman

import (
	"context"
	"net/http"

	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
)

// Bindings reports whether this program has podman's bindings.
const Bindings = false

// Engine of a program without the bindings is never made.
type Engine struct{ toolbox.Engine }

// Connect hands the whole call over to the program that has the bindings, with
// the same arguments; on success it does not return. The caller must not have
// asked the user anything yet.
func Connect(context.Context, string, func(text, hint string)) (*Engine, error) {
	return nil, programs.Become(programs.Full)
}

// Client is for package images/podman.
func (e *Engine) Client() *http.Client { return nil }

// ImageNames returns the names of all images, for completion.
func (e *Engine) ImageNames(context.Context) ([]string, error) { return nil, nil }
