package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
)

// Provenance records where an image came from. tbx believes nothing else about that:
// labels come from whoever made the image.
type Provenance struct {
	Image     string    `json:"image"`     // ID
	Reference string    `json:"reference"` // under which it was fetched or made
	Origin    Origin    `json:"origin"`
	Digest    string    `json:"digest,omitempty"` // the registry's name for it
	Signer    string    `json:"signer,omitempty"` // ID of the key that verified the signature; "" without one
	Signed    []Signed  `json:"signed,omitempty"` // each name under which it was verified
	Date      time.Time `json:"date"`

	Bootstrap *Bootstrapped `json:"bootstrap,omitempty"`
	Build     *Built        `json:"build,omitempty"`
}

// Origin is the way of an image to this machine.
type Origin string

// The origins.
const (
	OriginPull      Origin = "pull"
	OriginBootstrap Origin = "bootstrap"
	OriginBuild     Origin = "build"
)

// Provenances is the directory with the provenance of each image, one file each: StateDir/images.
type Provenances struct{ dir string }

// ProvenancesIn returns what is stored below $XDG_STATE_HOME/tbx.
func ProvenancesIn(stateDir string) Provenances {
	return Provenances{filepath.Join(stateDir, "images")}
}

// Load returns the provenance of an image ID; false if there is none.
func (r Provenances) Load(id string) (Provenance, bool, error) {
	var rec Provenance
	data, err := os.ReadFile(filepath.Join(r.dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return rec, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	// A copied or truncated record must not count for another image.
	if err == nil && (rec.Image != id || rec.Origin == OriginBootstrap && rec.Bootstrap == nil) {
		err = fmt.Errorf("%s: it is not the provenance of this image", filepath.Join(r.dir, id+".json"))
	}
	return rec, err == nil, err
}

// Save writes or replaces a provenance, dated now.
func (r Provenances) Save(rec Provenance) error {
	rec.Date = time.Now().UTC().Truncate(time.Second)
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(r.dir, rec.Image+".json"), append(data, '\n'), 0o600)
}

// All returns every readable provenance, in no order.
func (r Provenances) All() ([]Provenance, error) {
	names, err := filepath.Glob(filepath.Join(r.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []Provenance
	for _, name := range names {
		id := filepath.Base(name[:len(name)-len(".json")])
		if rec, ok, err := r.Load(id); err == nil && ok {
			out = append(out, rec)
		}
	}
	return out, nil
}

// Forget removes the provenance of a removed image.
func (r Provenances) Forget(id string) error {
	err := os.Remove(filepath.Join(r.dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lastSigner returns the signer of the image that was fetched last as ref; "" if there is
// none.
func (r Provenances) lastSigner(ref Ref) string {
	all, err := r.All()
	if err != nil {
		return ""
	}
	var last Provenance
	for _, rec := range all {
		if of, err := ParseRef(rec.Reference); err == nil && of.Tagged() == ref.Tagged() && rec.Signer != "" && !rec.Date.Before(last.Date) {
			last = rec
		}
	}
	return last.Signer
}

// Built records what an image was built from.
type Built struct {
	Containerfile string            `json:"containerfile"` // absolute path
	Args          map[string]string `json:"args,omitempty"`
	Hash          string            `json:"hash"` // Build.Hash
}
