package boxinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mkdir makes the directory p and its parents, each with mode 0755 whatever the umask. If
// a link of the image leads to a missing place, as /root of an image-based system does
// (var/roothome), mkdir makes its target, if that is in the image.
//
// A directory that exists but is closed to the user is opened: former versions of tbx
// made directories with the umask of the user who started the toolbox.
func (b *box) mkdir(p string) error { return b.mkdirVia(filepath.Clean(p), 40) }

func (b *box) mkdirVia(p string, links int) error {
	if p == "/" {
		return nil
	}
	if err := b.mkdirVia(filepath.Dir(p), links); err != nil {
		return err
	}
	fi, err := os.Lstat(b.root + p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := b.own(filepath.Dir(p)); err != nil {
			return err
		}
		if err := os.Mkdir(b.root+p, 0o755); err != nil {
			return err
		}
		return os.Chmod(b.root+p, 0o755)
	case err != nil:
		return err
	case fi.IsDir():
		return b.open(p, fi)
	case fi.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is no directory", p)
	case links == 0:
		return fmt.Errorf("%s: %w", p, unix.ELOOP)
	}
	if there, err := os.Stat(b.root + p); err == nil && there.IsDir() {
		return nil
	}
	target, err := os.Readlink(b.root + p)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(p), target)
	}
	return b.mkdirVia(filepath.Clean(target), links-1)
}

// mayBeClosed are the directories that distributions keep closed.
var mayBeClosed = []string{"/root", "/etc/sudoers.d", "/etc/doas.d"}

// open makes a directory of root, on the image's own file system, readable for all.
func (b *box) open(p string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if fi.Mode().Perm()&0o005 == 0o005 || slices.Contains(mayBeClosed, p) || !ok || int(st.Uid) != os.Geteuid() {
		return nil
	}
	root, err := os.Stat(b.root + "/")
	if err != nil || root.Sys().(*syscall.Stat_t).Dev != st.Dev {
		return err
	}
	return os.Chmod(b.root+p, fi.Mode()|0o055)
}

// makeDirectories makes directories that an image without a distribution may lack.
func (b *box) makeDirectories() error {
	var failed []error
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{"/tmp", 0o777 | fs.ModeSticky}, {"/var/tmp", 0o777 | fs.ModeSticky}, {"/run", 0o755}, {"/root", 0o700}} {
		if _, err := os.Stat(b.root + d.path); err == nil {
			continue
		}
		err := b.mkdir(d.path)
		if err == nil {
			err = os.Chmod(b.root+d.path, d.mode)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (b *box) exists(p string) bool {
	_, err := os.Lstat(b.root + p)
	return err == nil
}

// linkTarget returns the target of the link p, or "".
func (b *box) linkTarget(p string) string {
	target, _ := os.Readlink(b.root + p)
	return target
}

// intoHostView reports whether p is a link into the host view, which tbx made.
func (b *box) intoHostView(p string) bool { return strings.HasPrefix(b.linkTarget(p), HostView+"/") }
