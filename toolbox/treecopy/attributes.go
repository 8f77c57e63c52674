package treecopy

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// file is a descriptor, or a name in a directory.
type file struct {
	fd   int
	name string
}

// attributes gives to the extended attributes that from has, and only those, xattr(7).
// With them come access control lists and capabilities.
func (c *Copier) attributes(to, from file) error {
	want, err := from.list(c.buf)
	if err != nil {
		return err
	}
	// A new file may have a list of its own, from its directory's default.
	have, err := to.list(c.buf)
	if err != nil {
		return target(err)
	}
	for _, name := range have {
		if !slices.Contains(want, name) && !foreign(name) {
			if err := to.remove(name); err != nil {
				return target(err)
			}
		}
	}
	for _, name := range want {
		value, err := from.get(name, c.buf)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		} else if err != nil {
			return err
		}
		if err := to.set(name, value); err != nil && !foreign(name) {
			return target(err)
		}
	}
	return nil
}

// foreign reports whether an attribute belongs to the system, which gives a file its own:
// no user may set it.
func foreign(name string) bool {
	return name == "security.selinux" || name == "security.ima" || name == "security.evm" || strings.HasPrefix(name, "trusted.")
}

func (f file) list(buf []byte) ([]string, error) {
	var n int
	var err error
	if f.name == "" {
		n, err = unix.Flistxattr(f.fd, buf)
	} else {
		n, err = unix.Llistxattr(procPath(f.fd, f.name), buf)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
}

// get returns the value in buf, which is as large as any attribute may be.
func (f file) get(name string, buf []byte) ([]byte, error) {
	var n int
	var err error
	if f.name == "" {
		n, err = unix.Fgetxattr(f.fd, name, buf)
	} else {
		n, err = unix.Lgetxattr(procPath(f.fd, f.name), name, buf)
	}
	return buf[:max(n, 0)], err
}

func (f file) set(name string, value []byte) error {
	if f.name == "" {
		return unix.Fsetxattr(f.fd, name, value, 0)
	}
	return unix.Lsetxattr(procPath(f.fd, f.name), name, value, 0)
}

func (f file) remove(name string) error {
	var err error
	if f.name == "" {
		err = unix.Fremovexattr(f.fd, name)
	} else {
		err = unix.Lremovexattr(procPath(f.fd, f.name), name)
	}
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	return err
}
