package toolbox

import (
	"context"
	"errors"

	"github.com/tbx-project/tbx/internal/fail"
)

// userTables are the files that podman opens in a container to learn who a user
// is. It does so while it holds the container's lock, so that one that cannot be
// read to an end, a FIFO above all, makes it, and everybody who then calls podman,
// wait for ever.
var userTables = []string{"/etc/passwd", "/etc/group"}

// checkTables refuses a container, which need not run, that podman must not start.
func checkTables(ctx context.Context, e Engine, id, image string) error {
	for _, path := range userTables {
		mode, err := e.FileMode(ctx, id, path)
		switch {
		case errors.Is(err, fail.NotFound):
		case err != nil:
			return err
		case !mode.IsRegular():
			return fail.New(nil, "image %s cannot be a toolbox's: its %s is not a regular file", image, path).Hint("choose another image")
		}
	}
	return nil
}
