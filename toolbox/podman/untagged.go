//go:build !remote

package podman

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Bindings says whether this program has podman's bindings.
const Bindings = false

// program is tbx again, with the bindings.
const program = "tbx-podman"

// Engine of a program without the bindings is never made.
type Engine struct{ toolbox.Engine }

// Connect hands the whole call over to the program that has the bindings, with
// the same arguments; on success it does not return. tbx itself has none because
// entering a running toolbox needs none, and their initialisers alone would cost
// as much as the entry. The caller must not have asked the user anything yet.
func Connect(context.Context, string) (*Engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{filepath.Dir(self), filepath.Join(filepath.Dir(self), "../libexec/tbx"), "/usr/libexec/tbx"} {
		path := filepath.Join(dir, program)
		if _, err := os.Stat(path); err == nil {
			return nil, syscall.Exec(path, os.Args, os.Environ())
		}
	}
	return nil, fail.New(fail.Unable, "%s, which talks to podman for tbx, is missing", program).
		Hint("install it beside tbx, as make install does, or build it with make")
}

// Client is for package images/podman.
func (e *Engine) Client() *http.Client { return nil }

// ImageNames returns the names of all images, for completion.
func (e *Engine) ImageNames(context.Context) ([]string, error) { return nil, nil }
