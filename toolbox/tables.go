package toolbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
)

// userTables are the files that podman opens in a container to look a user up. Meanwhile
// it holds the container's lock. So a file that it cannot read to an end, such as a FIFO,
// makes it wait for ever, and with it everybody who calls podman.
var userTables = []string{"/etc/passwd", "/etc/group"}

// maxTable is larger than any such file, in bytes. podman 5 reads a line of any length
// into memory: a sparse file could use up the machine's.
const maxTable = 16 << 20

// checkTablesOnce is checkTables, once for an image, because podman mounts a container
// for each look, which takes longer than its creation, and an image does not change. An
// empty file in the cache directory, named by the image's id, records the success.
func (m *Manager) checkTablesOnce(ctx context.Context, e Engine, id, imageID, image string) error {
	mark := filepath.Join(m.Host.Dirs.Cache, "tables", filepath.Base(imageID))
	if exists(mark) {
		return nil
	}
	if err := checkTables(ctx, e, id, image); err != nil {
		return err
	}
	if os.MkdirAll(filepath.Dir(mark), 0o700) == nil { // without it, the next creation checks again
		_ = os.WriteFile(mark, nil, 0o600)
	}
	return nil
}

// checkTables refuses a container, running or not, that podman must not start.
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
