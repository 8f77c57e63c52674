package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
)

// Trust holds the owner's keys: for a scope, which is a registry or a namespace or
// repository in it, the one public key that must have signed every image from there. The
// directories are the whole state: SCOPE/key.gpg or SCOPE/key.pub.
type Trust struct {
	Dir   string   // the user's, where keys are added: $XDG_CONFIG_HOME/tbx/keys
	Other []string // the administrator's and the distribution's, which the user's override
	// Keyrings returns the keyrings that may have verified the mirror for a bootstrapped
	// image of that name; nil: none.
	Keyrings func(local Ref) []string
}

// Key is one trusted key.
type Key struct {
	Scope string  `json:"scope"`
	Kind  KeyKind `json:"kind"`
	ID    string  `json:"id"` // as ReadKey gives it
	Path  string  `json:"path"`
}

// Add trusts a key for a scope. A scope that has one already is fail.Exists: only the
// owner changes who may sign.
func (t Trust) Add(scope string, data []byte) (Key, error) {
	if err := checkScope(scope); err != nil {
		return Key{}, err
	}
	kind, id, err := ReadKey(data)
	if err != nil {
		return Key{}, fail.Wrap(fail.Usage, err, "key for %s", scope).Hint(KeyHint)
	}
	if old, ok, err := readKeyIn(t.Dir, scope); err != nil {
		return Key{}, err
	} else if ok {
		if old.ID == id {
			return old, nil
		}
		return Key{}, fail.New(fail.Exists, "scope %s: it has the key %s already", scope, old.ID).
			Hint("remove that first: tbx image trust remove %s", scope)
	}
	path := filepath.Join(t.Dir, filepath.FromSlash(scope), keyFile(kind))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Key{}, err
	}
	return Key{scope, kind, id, path}, atomicfile.Write(path, data, 0o600)
}

// Remove ends the trust in the user's key for a scope.
func (t Trust) Remove(scope string) error {
	if err := checkScope(scope); err != nil {
		return err
	}
	key, ok, err := readKeyIn(t.Dir, scope)
	if err != nil {
		return err
	}
	if !ok {
		return fail.New(fail.NotFound, "scope %s: it has no key of yours", scope).Hint("tbx image trust list shows all keys")
	}
	return os.Remove(key.Path)
}

// List returns all keys that are used, by scope.
func (t Trust) List() ([]Key, error) {
	var out []Key
	seen := map[string]bool{}
	for _, dir := range append([]string{t.Dir}, t.Other...) {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || filepath.Base(path) != keyFile(KeyGPG) && filepath.Base(path) != keyFile(KeySigstore) {
				return err
			}
			scope, err := filepath.Rel(dir, filepath.Dir(path))
			if err != nil || seen[scope] {
				return err
			}
			key, ok, err := readKeyIn(dir, scope)
			if err == nil && ok {
				seen[scope] = true
				out = append(out, key)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("trusted keys: %w", err)
		}
	}
	return out, nil
}

// For returns the key of the narrowest scope that holds ref; false if there is none.
func (t Trust) For(ref Ref) (Key, bool, error) {
	for scope := ref.Name(); ref.Domain != "" && scope != ""; {
		for _, dir := range append([]string{t.Dir}, t.Other...) {
			if key, ok, err := readKeyIn(dir, scope); err != nil || ok {
				return key, ok, err
			}
		}
		i := strings.LastIndexByte(scope, '/')
		if i < 0 {
			break
		}
		scope = scope[:i]
	}
	return Key{}, false, nil
}

func keyFile(kind KeyKind) string {
	if kind == KeyGPG {
		return "key.gpg"
	}
	return "key.pub"
}

func readKeyIn(dir, scope string) (Key, bool, error) {
	for _, kind := range []KeyKind{KeyGPG, KeySigstore} {
		path := filepath.Join(dir, filepath.FromSlash(scope), keyFile(kind))
		data, err := ownfile.Read(path) // not a stranger's, nor one that everybody may write
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Key{}, false, err
		}
		is, id, err := ReadKey(data)
		if err == nil && is != kind {
			err = fmt.Errorf("it is a %s key", is)
		}
		if err != nil {
			return Key{}, false, fmt.Errorf("%s: %w", path, err)
		}
		return Key{scope, kind, id, path}, true, nil
	}
	return Key{}, false, nil
}

func checkScope(scope string) error {
	ref, err := ParseRef(scope + "/x") // a registry alone is a scope, but not a reference
	if err != nil || ref.Domain == "" || ref.Tag != "" || ref.Digest != "" {
		return fail.New(fail.Usage, "scope %s: it must be a registry, or a namespace or repository of one, without a tag", escape.Quote(scope)).
			Hint("scopes look like quay.io or quay.io/toolbx or quay.io/toolbx/arch-toolbox")
	}
	return nil
}

// signerOf returns the key that must have signed ref.
func (t Trust) signerOf(ref Ref) (Key, error) {
	key, ok, err := t.For(ref)
	switch {
	case err != nil:
		return Key{}, err
	case ref.Short():
		return Key{}, fail.Wrap(fail.Unable, ErrPolicy, "image %s: its name has no registry, and keys are trusted for registries", ref).
			Hint("add the registry, such as docker.io/library/%s", ref)
	case !ok:
		return Key{}, fail.Wrap(fail.Unable, ErrPolicy, "image %s: no key is trusted for its registry", ref).
			Hint("tbx image trust add %s KEYFILE", ref.Name())
	}
	return key, nil
}
