package toolbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
)

// userTables are the files that podman opens in a container to learn who a user
// is. It does so while it holds the container's lock, so that one that cannot be
// read to an end, a FIFO above all, makes it, and everybody who then calls podman,
// wait for ever.
var userTables = []string{"/etc/passwd", "/etc/group"}

// maxTable is more than any has, in bytes. podman 5 reads a line into memory however
// long it is: a sparse file takes all of the machine's.
const maxTable = 16 << 20

// checkTablesOnce is checkTables, once for an image: podman mounts a container for
// each look, which takes longer than its creation, and an image does not change. An
// empty file in the cache directory, named by the image's id, says that it passed.
func (m *Manager) checkTablesOnce(ctx context.Context, e Engine, id, imageID, image string) error {
	mark := filepath.Join(m.Host.Dirs.Cache, "tables", filepath.Base(imageID))
	if exists(mark) {
		return nil
	}
	if err := checkTables(ctx, e, id, image); err != nil {
		return err
	}
	if os.MkdirAll(filepath.Dir(mark), 0o700) == nil { // without it the next creation looks again
		_ = os.WriteFile(mark, nil, 0o600)
	}
	return nil
}

// checkTables refuses a container, which need not run, that podman must not start.
func checkTables(ctx context.Context, e Engine, id, image string) error {
	for _, path := range userTables {
		f, err := e.Stat(ctx, id, path)
		why := ""
		switch {
		case errors.Is(err, fail.NotFound):
		case err != nil:
			return err
		case !f.Mode.IsRegular():
			why = "is not a regular file"
		case f.Size > maxTable:
			why = "is larger than 16 MiB"
		}
		if why != "" {
			return fail.New(nil, "image %s cannot be a toolbox's: its %s %s", image, path, why).Hint("choose another image")
		}
	}
	return nil
}
