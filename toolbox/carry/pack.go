package carry

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// capability is the extended attribute by which a file has privileges, capabilities(7): the
// only one that builders of images take from an archive.
const capability = "security.capability"

// pack writes paths of the old toolbox as an archive, pax(1), with ids as it has them. The
// same files make the same bytes.
func (w *work) pack(out io.Writer) error {
	t := tar.NewWriter(out)
	for _, p := range w.Pack {
		if err := w.packOne(t, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return t.Close()
}

func (w *work) packOne(t *tar.Writer, p string) error {
	st := w.old.look(path.Dir(p), path.Base(p))
	if st == nil {
		return unix.ENOENT
	}
	h := &tar.Header{
		Name: inside(p), Mode: int64(st.Mode &^ unix.S_IFMT), Format: tar.FormatPAX, ModTime: time.Unix(st.Mtime.Sec, 0),
		Uid: w.uids.insideOf(int(st.Uid)), Gid: w.gids.insideOf(int(st.Gid)),
	}
	switch kindOf(st) {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(h.Name, "/")+"/"
	case unix.S_IFLNK:
		to, err := w.old.root.Readlink(inside(p))
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, to
	case unix.S_IFREG:
		return w.packFile(t, h, p)
	default:
		return fmt.Errorf("it is no file any more")
	}
	return t.WriteHeader(h)
}

func (w *work) packFile(t *tar.Writer, h *tar.Header, p string) error {
	f, err := w.old.root.Open(inside(p))
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, fi.Size()
	buf := make([]byte, 64)
	if n, err := unix.Fgetxattr(int(f.Fd()), capability, buf); err == nil {
		h.PAXRecords = map[string]string{"SCHILY.xattr." + capability: string(buf[:n])}
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, fi.Size())
	return err
}
