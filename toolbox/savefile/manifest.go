package savefile

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// Version is the version of the format that this tbx writes, and the newest that it reads.
const Version = 1

// Manifest says what is in the file.
type Manifest struct {
	Version  int       `json:"version"`
	Toolbox  string    `json:"toolbox"` // its name
	Made     time.Time `json:"made"`
	Spec     string    `json:"spec"` // its specification, docs/spec.md, as TOML
	Image    Image     `json:"image"`
	Driver   string    `json:"driver"` // of podman's storage: overlay or vfs
	UID      uint32    `json:"uid"`    // the user's ids inside
	GID      uint32    `json:"gid"`
	Entries  int64     `json:"entries"`  // in its layer, about
	Bytes    int64     `json:"bytes"`    // that its layer takes on a disk, about
	Parts    []string  `json:"parts"`    // in their order
	Snapshot string    `json:"snapshot"` // that it was saved from; empty: it was saved as it was
}

// Image is the one that a layer belongs to.
type Image struct {
	Reference string   `json:"reference"` // as the toolbox has it
	ID        string   `json:"id"`        // podman's, 64 hex digits: the digest of its configuration
	Digests   []string `json:"digests"`   // REPOSITORY@sha256:…, by which registries have it
}

// The parts.
const (
	PartImage = "image" // an OCI archive with the image
	PartLayer = "layer" // what the toolbox has changed of its image
	PartHome  = "home"  // its home
)

// Has says whether the file has a part.
func (m *Manifest) Has(part string) bool {
	for _, p := range m.Parts {
		if p == part {
			return true
		}
	}
	return false
}

// parse reads a manifest. That of a newer version may look like anything.
func parse(data []byte) (*Manifest, error) {
	var v struct{ Version int }
	if err := json.Unmarshal(data, &v); err != nil || v.Version < 1 {
		return nil, errForeign()
	}
	if v.Version > Version {
		return nil, fail.New(fail.Unable, "it was written by a newer tbx (format %d, this one knows %d)", v.Version, Version).Hint("update tbx")
	}
	m := &Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, damaged(err)
	}
	if m.Toolbox == "" || m.Image.ID == "" || !m.Has(PartLayer) || m.Entries < 0 || m.Bytes < 0 {
		return nil, damaged(errors.New("its description lacks something"))
	}
	return m, nil
}

func errForeign() error {
	return fail.New(fail.Usage, "it is no file that tbx save wrote").Hint("make one with: tbx save NAME FILE")
}

// ErrDamaged says that the file is not what was written.
var ErrDamaged = errors.New("damaged")

func damaged(cause error) error {
	return fail.Wrap(ErrDamaged, cause, "it is cut off or was altered").Hint("get it once more from where it came")
}
