// Package ownfile reads small files that tbx trusts because of their owner, such as
// settings. Anything may be at the path, so it must not block, must not fill the memory,
// and must not trust another user's file.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Max is the size in bytes of the largest file that is read.
const Max = 256 << 10

// ReadIfThere is Read for an optional file; it returns nil if that is missing. An
// unreadable one below /etc counts as missing: it is the administrator's.
func ReadIfThere(path string) ([]byte, error) {
	data, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && strings.HasPrefix(path, "/etc/") {
		return nil, nil
	}
	return data, err
}

// Read returns the content of the regular file at path, if it belongs to the calling user
// or to root and others may not write to it. Links are followed, because people keep
// their settings elsewhere; the target is checked. The error wraps fs.ErrNotExist or
// fs.ErrPermission if that is the cause; otherwise it is of kind fail.Unable.
func Read(path string) ([]byte, error) { return read(path, 0) }

// ReadNoLink is Read for a file that must not be a link: it comes with other people's
// files, where a link could name a file of the user's.
func ReadNoLink(path string) ([]byte, error) { return read(path, unix.O_NOFOLLOW) }

func read(path string, flags int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|flags, 0)
	if flags&unix.O_NOFOLLOW != 0 && errors.Is(err, unix.ELOOP) {
		return nil, fail.New(fail.Unable, "%s is not read: it is a link", escape.Text(path)).
			Hint("replace it by a file, or name its target")
	}
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "a settings file cannot be read")
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	refuse := func(why string) *fail.Error {
		return fail.New(fail.Unable, "%s is not read: %s", escape.Text(path), why)
	}
	switch uid := int(st.Uid); {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, refuse("it is not a regular file").Hint("move it away, or put a file in its place")
	case uid != 0 && uid != os.Getuid():
		return nil, refuse("it belongs to user " + strconv.Itoa(uid) + ", who has no say here").Hint("make it yours, or move it away")
	case st.Mode&0o002 != 0:
		return nil, refuse("everybody may write to it").Hint("remove that with: chmod o-w '%s'", escape.Text(path))
	}
	data, err := io.ReadAll(io.LimitReader(f, Max+1))
	switch {
	case err != nil:
		return nil, fail.Wrap(fail.Unable, err, "a settings file cannot be read")
	case len(data) > Max:
		return nil, refuse(fmt.Sprintf("it is larger than %d KiB", Max>>10)).Hint("move it away, or make it smaller")
	}
	return data, nil
}
