package treecopy

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// IDs is one map of a user namespace, of user or of group ids: the ids inside, and their
// values in the namespace in which the files are worked on. An empty one maps each to
// itself.
type IDs []idRange

type idRange struct{ inside, outside, size uint64 }

// ParseIDs reads a map as podman has it: INSIDE:OUTSIDE:SIZE.
func ParseIDs(words []string) (IDs, error) {
	var m IDs
	for _, w := range words {
		var n [3]uint64
		parts := strings.Split(w, ":")
		err := fmt.Errorf("the map of ids %q is not INSIDE:OUTSIDE:SIZE", w)
		if len(parts) != len(n) {
			return nil, err
		}
		for i, p := range parts {
			v, perr := strconv.ParseUint(p, 10, 32)
			if perr != nil {
				return nil, err
			}
			n[i] = v
		}
		m = append(m, idRange{n[0], n[1], n[2]})
	}
	return m, nil
}

// toInside returns the id inside. A file that nobody inside owns has none.
func (m IDs) toInside(id uint32) (uint32, error) {
	for _, r := range m {
		if at := uint64(id) - r.outside; uint64(id) >= r.outside && at < r.size {
			return uint32(r.inside + at), nil
		}
	}
	if len(m) == 0 {
		return id, nil
	}
	return 0, fmt.Errorf("its id %d has no counterpart inside", id)
}

// toOutside is the opposite.
func (m IDs) toOutside(id uint32) (uint32, error) {
	for _, r := range m {
		if at := uint64(id) - r.inside; uint64(id) >= r.inside && at < r.size {
			return uint32(r.outside + at), nil
		}
	}
	if len(m) == 0 {
		return id, nil
	}
	return 0, fmt.Errorf("its id %d is more than a toolbox has here: you have too few subordinate ids, subuid(5)", id)
}

// owners translates the users and groups of a file.
type owners struct{ user, group func(uint32) (uint32, error) }

// Extended attributes with ids of users, as linux/posix_acl_xattr.h and
// linux/capability.h define them.
const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
	fileCaps   = "security.capability"
)

const (
	aclEntry = 8 // bytes of one: tag, permissions, id
	aclUser  = 0x02
	aclGroup = 0x08

	capRevision  = 0xff000000
	capRevision3 = 0x03000000
	capLength3   = 24 // bytes, the last four the id of the namespace's root
)

// attribute translates the value of an attribute.
func (o owners) attribute(name, value string) (string, error) {
	v := []byte(value)
	put := func(at int, to func(uint32) (uint32, error)) error {
		id, err := to(binary.LittleEndian.Uint32(v[at:]))
		if err == nil {
			binary.LittleEndian.PutUint32(v[at:], id)
		}
		return err
	}
	switch name {
	case accessACL, defaultACL:
		for at := 4; at+aclEntry <= len(v); at += aclEntry {
			var err error
			switch binary.LittleEndian.Uint16(v[at:]) {
			case aclUser:
				err = put(at+4, o.user)
			case aclGroup:
				err = put(at+4, o.group)
			}
			if err != nil {
				return "", err
			}
		}
	case fileCaps:
		if len(v) == capLength3 && binary.LittleEndian.Uint32(v)&capRevision == capRevision3 {
			if err := put(capLength3-4, o.user); err != nil {
				return "", err
			}
		}
	}
	return string(v), nil
}

// own reports whether an attribute belongs to the file's layer and not to the file: the
// kernel's and tbx's notes about a layer. Without them the layer means the same.
func own(name string) bool {
	if after, ok := strings.CutPrefix(name, overlayPrefix); ok {
		return after == "origin" || after == "impure" || after == "uuid" || after == "nlink" || after == "protattr"
	}
	return foreign(name) || strings.HasPrefix(name, "user.tbx.")
}

const overlayPrefix = "user.overlay."

// mayHave reports whether a file from elsewhere may have an attribute. Of the overlay's,
// those are allowed that hide a file of the image, and those of an overlay inside.
func mayHave(name string) bool {
	if after, ok := strings.CutPrefix(name, overlayPrefix); ok {
		return after == "opaque" || after == "whiteout" || strings.HasPrefix(after, "overlay.")
	}
	return name == accessACL || name == defaultACL || name == fileCaps || strings.HasPrefix(name, "user.") && !own(name)
}
