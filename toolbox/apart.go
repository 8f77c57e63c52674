package toolbox

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"slices"
)

// While tbx makes one container from another, both have the toolbox's labels, but only
// one has its name. The other is apart: under a name that no toolbox may have.

// The kinds of such names.
const (
	apartNew = "new" // will become the toolbox
	apartOld = "old" // was the toolbox

	apartNext = "next" // from another image: a rebase builds the new toolbox in it
	apartBase = "base" // from the toolbox's image, unchanged: a rebase compares with it

	// apartAdopted names another maker's toolbox whose contents moved into one of tbx. It
	// is empty, and kept for the way back.
	apartAdopted = "adopted"
)

// LabelReplaces holds the id of the container that this one replaced. It stays when that
// one is gone.
const LabelReplaces = "io.tbx.replaces"

var apartName = regexp.MustCompile(`^(.+)\.tbx-([a-z]+)-([0-9a-f]{8})$`)

// apart returns a name for a container that tbx works on for the toolbox name.
func apart(name Name, kind, hex string) string { return string(name) + ".tbx-" + kind + "-" + hex }

// apartHex returns digits that distinguish two operations on one toolbox.
func apartHex() string {
	b := make([]byte, 4)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// apartOf parses the name of a container that is apart: its toolbox, and its kind. ok is
// false for any other name.
func apartOf(container string) (name Name, kind string, ok bool) {
	m := apartName.FindStringSubmatch(container)
	if m == nil {
		return "", "", false
	}
	return Name(m[1]), m[2], true
}

// sameWork reports whether a container that is apart belongs to the operation hex. Any
// other container may belong to any.
func sameWork(container, hex string) bool {
	m := apartName.FindStringSubmatch(container)
	return m == nil || m[3] == hex
}

// settled returns the containers that are not apart: those that a user knows.
func settled(all []Container) []Container {
	return slices.DeleteFunc(slices.Clone(all), func(c Container) bool {
		_, _, isApart := apartOf(c.Name)
		return isApart
	})
}
