// Package project finds the tbx.toml of the project that a user is in, and remembers which
// ones he trusts. It is part of tbx enter: it must not parse the file, nor know a toolbox.
package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
)

// FileName is what a project calls its declaration.
const FileName = "tbx.toml"

// Find returns the path of the nearest declaration, in dir or above it, or "". Above dir it
// does not look in home, nor behind a mount point, nor in a directory that is not this
// user's: who can write there would decide what others enter. dir and home are absolute and
// without links.
func Find(dir, home string) string {
	dev, ok := mine(dir)
	for at := dir; ok; {
		path := filepath.Join(at, FileName)
		if _, err := os.Lstat(path); err == nil {
			return path
		}
		up := filepath.Dir(at)
		if up == at || up == home || at == home {
			return ""
		}
		upDev, own := mine(up)
		if at, ok = up, own && upDev == dev; !ok {
			return ""
		}
	}
	return ""
}

// mine says whether a directory is this user's, and on which file system it is.
func mine(dir string) (dev uint64, ok bool) {
	fi, err := os.Lstat(dir)
	if err != nil || !fi.IsDir() {
		return 0, false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return st.Dev, ok && int(st.Uid) == os.Getuid()
}

// Hash identifies the content of a declaration: 64 hex digits.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Permit is an owner's word that a declaration may be used, as it was then.
type Permit struct {
	Path  string `json:"path"`
	Hash  string `json:"hash"`  // of the content
	Enter string `json:"enter"` // toolbox that tbx enter means there; empty: the file names several
}

// Permits are those that are kept in a directory, a file each.
type Permits struct{ Dir string }

// PermitsIn are those of the user whose state is kept in stateDir.
func PermitsIn(stateDir string) Permits { return Permits{filepath.Join(stateDir, "allowed")} }

func (p Permits) file(path string) string { return filepath.Join(p.Dir, Hash([]byte(path))+".json") }

// Allow keeps a permit, in place of an older one of that path.
func (p Permits) Allow(permit Permit) error {
	data, err := json.Marshal(permit)
	if err == nil {
		err = os.MkdirAll(p.Dir, 0o700)
	}
	if err == nil {
		err = atomicfile.Write(p.file(permit.Path), data, 0o600)
	}
	if err != nil {
		return fail.Wrap(nil, err, "%s cannot be allowed", escape.Text(permit.Path)).Hint("make %s writable", p.Dir)
	}
	return nil
}

// Deny forgets the permit of a path. It says whether there was one.
func (p Permits) Deny(path string) (bool, error) {
	err := os.Remove(p.file(path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Check returns the permit for a declaration of that content, or an error of kind
// fail.Unable that says what to do.
func (p Permits) Check(path string, content []byte) (Permit, error) {
	var permit Permit
	data, err := os.ReadFile(p.file(path))
	if err == nil {
		err = json.Unmarshal(data, &permit)
	}
	shown := escape.Text(path)
	switch {
	case err != nil || permit.Path != path:
		return Permit{}, fail.New(fail.Unable, "%s is not allowed", shown).Hint("look at it: tbx plan").Hint("if you trust it: tbx allow")
	case permit.Hash != Hash(content):
		return Permit{}, fail.New(fail.Unable, "%s has changed since you allowed it", shown).
			Hint("look at what is different: tbx plan").Hint("if you trust it: tbx allow")
	}
	return permit, nil
}

// Read reads the declaration of a project. It refuses what is not the user's own word: a
// link, a file of somebody else, and one that everybody may write.
func Read(path string) ([]byte, error) {
	data, err := ownfile.ReadNoLink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail.New(fail.NotFound, "there is no file %s", escape.Text(path))
	}
	return data, err
}

// Allowed is the permit for what is at path, if there is one. Errors are those of Read and
// Check.
func (p Permits) Allowed(path string) (Permit, error) {
	data, err := Read(path)
	if err != nil {
		return Permit{}, err
	}
	return p.Check(path, data)
}
