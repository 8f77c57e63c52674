//go:build system

package system_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// treeWork is what this program does when it is called in podman's user namespace, with
// the tree of a container mounted at $TREE: fill it with whatever a layer can hold, or
// print what is in it.
func treeWork(work, tree string) error {
	switch work {
	case "fill":
		return fill(tree)
	case "manifest":
		return manifest(tree, os.Stdout)
	}
	return fmt.Errorf("there is no work %q", work)
}

// fill makes in the tree of the image busybox one of each: white-outs of a file and a
// directory, an opaque directory, hard links, also to a file of the image, modes, owners,
// capabilities, ACLs, attributes, a sparse file, odd names, times, and copy-ups.
func fill(tree string) error {
	at := func(path string) string { return filepath.Join(tree, path) }
	var errs []error
	do := func(err error) { errs = append(errs, err) }
	write := func(path, text string, mode os.FileMode) {
		do(os.WriteFile(at(path), []byte(text), 0o600))
		do(os.Chmod(at(path), mode))
	}
	for _, dir := range []string{"odd", "odd/sticky", "odd/empty", "odd/\n", "odd/\xff\xfe"} {
		do(os.Mkdir(at(dir), 0o755))
	}
	do(os.Chmod(at("odd/sticky"), 0o777|os.ModeSticky|os.ModeSetgid))
	write("odd/hard", "linked", 0o640)
	do(os.Link(at("odd/hard"), at("odd/hard2")))
	do(os.Link(at("bin/busybox"), at("odd/busybox")))
	write("odd/setuid", "x", 0o755|os.ModeSetuid|os.ModeSetgid)
	write("odd/others", "x", 0o600)
	do(os.Chown(at("odd/others"), 4242, 4243))
	write("odd/ name\twith \"quotes\"\\ and \u202e", "x", 0o000)
	write("odd/caps", "x", 0o755)
	// cap_net_raw+ep as in VFS_CAP_REVISION_2, capabilities(7).
	do(unix.Setxattr(at("odd/caps"), "security.capability", []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0))
	do(unix.Setxattr(at("odd/caps"), "user.tbxtest", []byte("v\x00\xff"), 0))
	// user::rwx, user 7:rw-, group::r--, mask::rw-, other::---, acl(5).
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(at("odd/others"), "system.posix_acl_access", acl, 0); !errors.Is(err, unix.EOPNOTSUPP) {
		do(err)
	}
	do(unix.Mkfifo(at("odd/fifo"), 0o644))
	do(os.Symlink("/nowhere", at("odd/dangling")))
	write("odd/sparse", "begin", 0o644)
	do(os.Truncate(at("odd/sparse"), 1<<30))
	do(os.Chtimes(at("odd/hard"), time.Unix(1, 1), time.Unix(999999999, 123456789)))
	do(unix.UtimesNanoAt(unix.AT_FDCWD, at("odd/dangling"), []unix.Timespec{{Sec: 5, Nsec: 6}, {Sec: 7, Nsec: 8}}, unix.AT_SYMLINK_NOFOLLOW))
	entries, err := os.ReadDir(at("etc")) // of the image: one file and one directory go, one is opaque
	do(err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			do(os.Remove(at("etc/" + e.Name())))
			break
		}
	}
	for _, dir := range []string{"usr/share", "var/spool", "root", "home", "usr/lib", "lib"} {
		if fi, err := os.Lstat(at(dir)); err == nil && fi.IsDir() {
			do(os.RemoveAll(at(dir)))
			do(os.Mkdir(at(dir), 0o750))
			write(filepath.Join(dir, "new"), "opaque", 0o644)
			break
		}
	}
	if fi, err := os.Lstat(at("usr")); err == nil && fi.IsDir() {
		do(os.Chmod(at("usr"), 0o751)) // a copy-up of the mode alone
	}
	return errors.Join(errs...)
}

// manifest prints a line for each name in the tree: all that a file system keeps of it.
func manifest(tree string, w io.Writer) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		sum := ""
		switch {
		case d.Type().IsRegular() && st.Size < 1<<28:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", sha256.Sum256(data))
		case d.Type().IsRegular():
			sum = fmt.Sprintf("sparse, %d blocks", st.Blocks)
		case d.Type()&fs.ModeSymlink != 0:
			if sum, err = os.Readlink(path); err != nil {
				return err
			}
		}
		attrs, err := xattrs(path)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, tree)
		kind := d.Type().String()
		if d.Type()&fs.ModeNamedPipe != 0 {
			kind = "fifo"
		}
		size := st.Size
		if d.IsDir() {
			size = 0 // of a directory it is the file system's matter
		}
		_, err = fmt.Fprintf(w, "%q %s %o %d:%d %d %d %d.%09d %s %q\n", rel, kind, st.Mode, st.Uid, st.Gid, size, st.Nlink, st.Mtim.Sec, st.Mtim.Nsec, sum, attrs)
		return err
	})
}

// xattrs are the extended attributes of a file, sorted.
func xattrs(path string) ([]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		k, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		out = append(out, name+"="+string(value[:k]))
	}
	slices.Sort(out)
	return out, nil
}
