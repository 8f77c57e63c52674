// Package rootonly checks that only root can change the file at a path. A file that
// others can change must not run as root, nor count as the program that a rule names.
package rootonly

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbx-project/tbx/internal/escape"
)

// maxLinks is as many symbolic links as the kernel follows, path_resolution(7).
const maxLinks = 40

// Check follows an absolute path from the root, through symbolic links, and returns an
// error that names the first step that others than root can change: a file, a directory
// on the way, or the target of a link. Access control lists show in the group's bits,
// acl(5).
func Check(path string) error {
	if !filepath.IsAbs(path) {
		return errors.New(escape.Quote(path) + " is not an absolute path")
	}
	at, rest := "/", path
	for links := 0; ; {
		fi, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if err := checkStep(at, fi); err != nil {
			return err
		}
		if fi.Mode().Type() == os.ModeSymlink {
			to, err := os.Readlink(at)
			if err != nil {
				return err
			}
			if links++; links > maxLinks {
				return fmt.Errorf("%s: %w", escape.Text(path), syscall.ELOOP)
			}
			rest = to + "/" + rest
			if at = filepath.Dir(at); filepath.IsAbs(to) {
				at = "/"
			}
		}
		step := ""
		for step == "" || step == "." {
			if rest == "" {
				return nil
			}
			step, rest, _ = strings.Cut(rest, "/")
		}
		at = filepath.Join(at, step) // ".." too: at has no links
	}
}

func checkStep(at string, fi os.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("the owner of " + escape.Text(at) + " is not known")
	case st.Uid != 0:
		return errors.New(escape.Text(at) + " belongs to user " + strconv.Itoa(int(st.Uid)))
	case fi.Mode().Type() == os.ModeSymlink, fi.Mode().Perm()&0o022 == 0:
		return nil
	case fi.IsDir() && fi.Mode()&os.ModeSticky != 0: // others add to it, and cannot replace what is root's
		return nil
	}
	return errors.New("others may write to " + escape.Text(at))
}
