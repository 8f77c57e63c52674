package declare

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/internal/tomlfile"
)

// lockVersion is the version of the lock file that this tbx writes.
const lockVersion = 1

// Lock is the lock file beside a declaration: what its words came to when it was applied,
// so that the next machine makes the toolboxes from the same.
type Lock struct {
	Version int                `toml:"version"`
	Toolbox map[string]*Locked `toml:"toolbox"`
}

// Locked is what a lock file has of one toolbox.
type Locked struct {
	Image   string            `toml:"image"`            // reference, as it was chosen
	Digest  string            `toml:"digest,omitempty"` // what the registry calls it; empty: it was made here
	ImageID string            `toml:"image_id"`         // podman's id
	Setup   []string          `toml:"setup,omitempty"`  // Command.Hash, in their order
	Files   map[string]string `toml:"files,omitempty"`  // FileIn.Hash by path
}

// LockPath is where the lock file of a declaration is.
func LockPath(path string) string { return strings.TrimSuffix(path, ".toml") + ".lock" }

// ReadLock reads the lock file of the declaration at path. One that is not there is empty.
func ReadLock(path string) (*Lock, error) {
	l := &Lock{}
	file := LockPath(path)
	data, err := ownfile.ReadNoLink(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err == nil:
		err = tomlfile.Decode(file, data, l)
	}
	if err == nil && l.Version > lockVersion {
		err = fail.New(fail.Unable, "%s was written by a newer tbx", escape.Text(file))
	}
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "").Hint("bring the lock file back, or remove it: tbx apply writes it anew")
	}
	if l.Toolbox == nil {
		l.Toolbox = map[string]*Locked{}
	}
	return l, nil
}

// Of is what the lock has of a toolbox, or nil.
func (l *Lock) Of(b *Box) *Locked { return l.Toolbox[string(b.Name)] }

// Write writes the lock file of the declaration at path, if that changes it.
func (l *Lock) Write(path string) error {
	l.Version = lockVersion
	b := bytes.NewBufferString("# What tbx apply made of the declaration beside: keep it with that.\n")
	if err := toml.NewEncoder(b).Encode(l); err != nil {
		return err
	}
	file := LockPath(path)
	if have, err := ownfile.ReadNoLink(file); err == nil && bytes.Equal(have, b.Bytes()) {
		return nil
	}
	return atomicfile.Write(file, b.Bytes(), 0o644)
}
