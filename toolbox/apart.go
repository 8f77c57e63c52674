package toolbox

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"slices"
)

// While tbx makes one container out of another, both have the toolbox's labels, and
// only one its name. The other stands apart, under a name that no toolbox may have.

// Kinds of a name that is apart.
const (
	apartNew = "new" // the container that is to be the toolbox
	apartOld = "old" // the one that was it

	apartNext = "next" // one of another image, in which a rebase builds what is to be the toolbox
	apartBase = "base" // one of the toolbox's image as that came, for a rebase to compare with

	// apartAdopted is what a toolbox of another maker is called that was moved into one of
	// tbx's. It is empty, and there for the way back.
	apartAdopted = "adopted"
)

// LabelReplaces is the id of the container whose place a container was made to take.
// It stays when the other is gone.
const LabelReplaces = "io.tbx.replaces"

var apartName = regexp.MustCompile(`^(.+)\.tbx-([a-z]+)-([0-9a-f]{8})$`)

// apart is a name for a container that is worked on for the toolbox name.
func apart(name Name, kind, hex string) string { return string(name) + ".tbx-" + kind + "-" + hex }

// apartHex tells two works on one toolbox apart.
func apartHex() string {
	b := make([]byte, 4)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// apartOf is the toolbox for which a container of that name is worked on, and as
// what: one of the kinds. ok is false of any other name.
func apartOf(container string) (name Name, kind string, ok bool) {
	m := apartName.FindStringSubmatch(container)
	if m == nil {
		return "", "", false
	}
	return Name(m[1]), m[2], true
}

// sameWork says whether a container that is apart is so for the work hex. One that is
// not apart may be of any.
func sameWork(container, hex string) bool {
	m := apartName.FindStringSubmatch(container)
	return m == nil || m[3] == hex
}

// settled are the containers of all that are not apart: those that a user knows of.
func settled(all []Container) []Container {
	return slices.DeleteFunc(slices.Clone(all), func(c Container) bool {
		_, _, isApart := apartOf(c.Name)
		return isApart
	})
}
