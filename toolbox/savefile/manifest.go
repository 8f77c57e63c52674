package savefile

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// Version is the version of the format that this tbx writes, and the newest that it reads.
const Version = 1

// Manifest describes the file's contents.
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

// Image is the image that a layer belongs to.
type Image struct {
	Reference string   `json:"reference"` // as the toolbox has it
	ID        string   `json:"id"`        // podman's, 64 hex digits: the digest of its configuration
	Digests   []string `json:"digests"`   // REPOSITORY@sha256:…, by which registries have it
}

// The parts.
const (
	PartImage = "image" // an OCI archive with the image
	PartLayer = "layer" // the toolbox's changes to its image
	PartHome  = "home"  // its home
)

// Writer writes a file.
type Writer interface {
	// Part writes the next part of the manifest: the output of write.
	Part(name string, write func(io.Writer) error) error
}

// Reader reads a file.
type Reader interface {
	// Part returns the next part of the manifest. Read it to its end.
	Part(name string) io.Reader
	// End reads the end of the file, and returns an error unless everything that was read
	// is unchanged.
	End() error
}

// Has reports whether the file has a part.
func (m *Manifest) Has(part string) bool { return slices.Contains(m.Parts, part) }

// Parse parses a manifest. One of a newer version may look like anything.
func Parse(data []byte) (*Manifest, error) {
	var v struct{ Version int }
	if err := json.Unmarshal(data, &v); err != nil || v.Version < 1 {
		return nil, Foreign()
	}
	if v.Version > Version {
		return nil, fail.New(fail.Unable, "it was written by a newer tbx (format %d, this one knows %d)", v.Version, Version).Hint("update tbx")
	}
	m := &Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, Damaged(err)
	}
	if m.Toolbox == "" || m.Image.ID == "" || !m.Has(PartLayer) || m.Entries < 0 || m.Bytes < 0 {
		return nil, Damaged(errors.New("its description lacks something"))
	}
	return m, nil
}

// Foreign returns the error for a file that tbx did not write.
func Foreign() error {
	return fail.New(fail.Usage, "it is not a file of tbx save").Hint("make one with: tbx save NAME FILE")
}

// ErrDamaged means that the file was changed.
var ErrDamaged = errors.New("damaged")

// Damaged returns the error for a changed file.
func Damaged(cause error) error {
	return fail.Wrap(ErrDamaged, cause, "it is cut off or was altered").Hint("get the file again from its source")
}
