//go:build remote

package podman

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/containers/podman/v4/pkg/bindings/containers"
	"github.com/containers/podman/v4/pkg/copy"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Stat implements toolbox.Engine.
func (e *Engine) Stat(ctx context.Context, id, file string) (toolbox.File, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	for range 10 {
		st, err := containers.Stat(conn, id, file)
		switch {
		case errors.Is(err, copy.ErrENOENT):
			if st != nil && st.LinkTarget != "" { // of a link that leads nowhere
				file = st.LinkTarget
			}
			return toolbox.File{}, fail.New(fail.NotFound, "%s is not there", file) // toolbox reads the path
		case err != nil:
			return toolbox.File{}, convert(err)
		case st.Mode&fs.ModeSymlink == 0 || st.LinkTarget == file:
			return toolbox.File{Mode: st.Mode, Size: st.Size}, nil
		}
		file = st.LinkTarget
	}
	return toolbox.File{}, fail.New(fail.NotFound, "%s leads nowhere", file)
}

// MakeDir implements toolbox.Engine.
func (e *Engine) MakeDir(ctx context.Context, id, dir string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	base, missing := path.Dir(dir), []string{path.Base(dir)}
	for base != "/" {
		if _, err := e.Stat(ctx, id, base); err == nil {
			break
		}
		base, missing = path.Dir(base), append([]string{path.Base(base)}, missing...)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i := range missing {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path.Join(missing[:i+1]...) + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	put, err := containers.CopyFromArchive(conn, id, base, &archive)
	if err != nil {
		return convert(err)
	}
	return convert(put())
}
