package converge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// record is what was brought into a toolbox. It is written after each step, so that one
// that was interrupted is gone on with.
type record struct {
	Source   string             `json:"source"`             // what it was made from, see sourceKey
	Adopted  bool               `json:"adopted,omitempty"`  // it was there before, and is not removed
	Manager  string             `json:"manager,omitempty"`  // its package manager
	Packages map[string]bool    `json:"packages,omitempty"` // by name: whether it was not there before
	Files    map[string]written `json:"files,omitempty"`    // by path
	Setup    []string           `json:"setup,omitempty"`    // declare.Command.Hash of those that have run
}

// written is a file that was written.
type written struct {
	Hash string `json:"hash"` // declare.FileIn.Hash
	Sum  string `json:"sum"`  // SHA-256 of the content
}

// recordOf returns the record of a toolbox by its specification's id, and whether there
// is one. One that cannot be understood counts as none: everything is brought in anew.
func recordOf(m *toolbox.Manager, id string) (*record, bool) {
	r := &record{}
	data, err := os.ReadFile(m.AppliedFile(id))
	if err != nil || json.Unmarshal(data, r) != nil {
		return &record{}, false
	}
	return r, true
}

// save writes the record of a toolbox.
func (r *record) save(m *toolbox.Manager, name toolbox.Name, id string) error {
	path := m.AppliedFile(id)
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(path, data, 0o600)
	}
	if err != nil {
		return fail.Wrap(nil, err, "what was done in toolbox %s cannot be recorded", name).
			Hint("make %s writable, or make room on its disk", filepath.Dir(path))
	}
	return nil
}

// forget removes the record of a toolbox.
func forget(m *toolbox.Manager, id string) error {
	if err := os.Remove(m.AppliedFile(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record of a toolbox: %w", err)
	}
	return nil
}
