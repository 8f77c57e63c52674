package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// I8: what is not a file of ours is refused with its name and a reason, and
// nothing is waited for.
func TestI8_FilesThatAreNotBelieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write := func(mode os.FileMode) error {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
	for name, c := range map[string]struct {
		put  func() error
		want string // in the message; "" if the file is taken
	}{
		"file":                {func() error { return write(0o600) }, ""},
		"with a group":        {func() error { return write(0o664) }, ""}, // the umask of some distributions
		"link to a file":      {func() error { return os.Symlink("/etc/passwd", path) }, ""},
		"fifo":                {func() error { return unix.Mkfifo(path, 0o600) }, "not a regular file"},
		"directory":           {func() error { return os.Mkdir(path, 0o700) }, "not a regular file"},
		"loop":                {func() error { return os.Symlink("config.toml", path) }, "too many levels of symbolic links"},
		"endless":             {func() error { return os.Symlink("/dev/zero", path) }, "not a regular file"},
		"writable by all":     {func() error { return write(0o606) }, "everybody may write to it"},
		"larger than allowed": {func() error { return errors.Join(write(0o600), os.Truncate(path, 1<<40)) }, "larger than 256 KiB"},
		"socket":              {func() error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }, "no such device or address"},
	} {
		if err := c.put(); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		os.RemoveAll(path)
	}
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if os.Getuid() != 0 {
		return
	}
	// Only root can give a file away.
	if err := errors.Join(write(0o600), os.Chown(path, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("another's: %v", err)
	}
}
