package toolbox

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
)

// During and after an edit tbx keeps up to three files besides the specification, in
// $XDG_STATE_HOME/tbx/edits. They are named by the specification's id, so that a renaming
// does not separate them.

// The kinds of such files.
const (
	editNow     = "now"     // an edit that is running, or was interrupted
	editWaiting = "waiting" // an edit that waits until the toolbox stops or starts
	editBefore  = "before"  // the settings before the last edit, for undo
)

// kept is the content of such a file.
type kept struct {
	Name     Name
	Spec     *Spec    // the new settings; with editBefore, the old ones
	Was      *Spec    `json:",omitempty"` // the settings to replace
	ImageEnv []string `json:",omitempty"` // see Plan.ImageEnv
	Old      string   `json:",omitempty"` // podman's id of the container to replace
	Hex      string   `json:",omitempty"` // in the names of both while they are apart
	Rebase   bool     `json:",omitempty"` // the edit changes the image, see rebase.go
	Turn     *turn    `json:",omitempty"` // of a rebase, once all is ready for it
	// For giving an adopted toolbox back: podman's id of the container that takes its
	// place, and that container's name before.
	Back string `json:",omitempty"`
	Orig Name   `json:",omitempty"`
}

func (m *Manager) editFile(id, kind string) string {
	return filepath.Join(m.Host.Dirs.State, "edits", filepath.Base(id)+"."+kind+".json")
}

func (m *Manager) keep(kind string, k *kept) error {
	path := m.editFile(k.Spec.ID, kind)
	data, err := json.Marshal(k)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(path, data, 0o600)
	}
	if err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be edited: the record for an interruption cannot be written", k.Name).
			Hint("make %s writable, or make room on its disk", filepath.Dir(path))
	}
	return nil
}

// kept returns the file's content, or nil. An unreadable file is an error, but one that
// is incomplete or belongs to somebody else is useless and counts as none.
func (m *Manager) kept(id, kind string) (*kept, error) {
	data, err := os.ReadFile(m.editFile(id, kind))
	if errors.Is(err, fs.ErrNotExist) || id == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &kept{}
	if json.Unmarshal(data, k) != nil || k.Spec == nil || k.Spec.ID != id {
		return nil, nil
	}
	return k, nil
}

// drop removes a kept file.
func (m *Manager) drop(id, kind string) { removeFile(m.editFile(id, kind)) }

// dropAll removes all kept files of a removed toolbox.
func (m *Manager) dropAll(id string) {
	if id == "" {
		return
	}
	for _, kind := range []string{editNow, editWaiting, editBefore} {
		m.drop(id, kind)
	}
	removeFile(m.AppliedFile(id))
}

// interrupted lists the edits that are running or were interrupted: nearly always none.
func (m *Manager) interrupted() []*kept {
	entries, _ := os.ReadDir(filepath.Join(m.Host.Dirs.State, "edits")) // missing: none
	var out []*kept
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), "."+editNow+".json")
		if !ok {
			continue
		}
		if k, err := m.kept(id, editNow); err == nil && k != nil {
			out = append(out, k)
		}
	}
	return out
}
