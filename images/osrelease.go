package images

import (
	"cmp"
	"io"
	"strings"

	"github.com/tbx-project/tbx/internal/osrelease"
)

// HostOS is what os-release(5) says of the host; absent keys are "".
type HostOS struct {
	ID              string   // "linux" when absent, as the manual page demands
	IDLike          []string // closest relative first
	VersionID       string
	VersionCodename string
	VariantID       string
	PrettyName      string
}

// ParseOSRelease reads the text of os-release(5).
func ParseOSRelease(r io.Reader) (HostOS, error) {
	keys, err := osrelease.Parse(r)
	if err != nil {
		return HostOS{}, err
	}
	return HostOSOf(keys), nil
}

// HostOSOf takes what tbx wants to know from the keys of os-release(5).
func HostOSOf(keys map[string]string) HostOS {
	return HostOS{
		ID: cmp.Or(keys["ID"], "linux"), IDLike: strings.Fields(keys["ID_LIKE"]), VersionID: keys["VERSION_ID"],
		VersionCodename: keys["VERSION_CODENAME"], VariantID: keys["VARIANT_ID"], PrettyName: cmp.Or(keys["PRETTY_NAME"], "Linux"),
	}
}
