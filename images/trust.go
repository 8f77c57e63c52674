package images

import (
	"context"
	"encoding/json"
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

// Trust is the owner's keys: for a scope, which is a registry or a namespace or
// repository of it, one public key that must have signed every image from
// there. The directories are the whole state: SCOPE/key.gpg or SCOPE/key.pub.
type Trust struct {
	Dir   string   // the user's, where keys are added: $XDG_CONFIG_HOME/tbx/keys
	Other []string // the administrator's and the distribution's, which the user's override
	// Keyrings are those that may have checked the mirror for a bootstrapped image of
	// that name; nil: none vouches.
	Keyrings func(local Ref) []string
}

// Key is one trusted key.
type Key struct {
	Scope string  `json:"scope"`
	Kind  KeyKind `json:"kind"`
	ID    string  `json:"id"` // as ReadKey gives it
	Path  string  `json:"path"`
}

// Add trusts a key for a scope. A scope that has one already is fail.Exists:
// who may sign changes only by the owner's own hand.
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
		return Key{}, fail.New(fail.Exists, "scope %s: it has the key %s already", scope, old.ID).Hint("remove that first: tbx image trust remove %s", scope)
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

// List gives all keys that count, by scope.
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

// For gives the key of the narrowest scope that holds ref; false when there is
// none.
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

// policy renders a containers-policy.json(5) that accepts nothing but this one
// repository with a signature of that key.
func policy(key Key, ref Ref) ([]byte, error) {
	requirement := map[string]any{"keyPath": key.Path}
	switch key.Kind {
	case KeyGPG:
		// The image is pulled by digest, for which any tag's signature would
		// do: demand the one for this tag, so that a registry cannot pass an
		// old signed image off as another tag.
		requirement["type"], requirement["keyType"] = "signedBy", "GPGKeys"
		if ref.Digest == "" {
			requirement["signedIdentity"] = map[string]string{"type": "exactReference", "dockerReference": ref.String()}
		}
	case KeySigstore:
		// cosign signs repositories and not tags.
		requirement["type"] = "sigstoreSigned"
		requirement["signedIdentity"] = map[string]string{"type": "matchRepository"}
	}
	return json.MarshalIndent(map[string]any{
		"default":    []any{map[string]string{"type": "reject"}},
		"transports": map[string]any{"docker": map[string]any{ref.Name(): []any{requirement}}},
	}, "", "  ")
}

// VerifiedPull fetches ref only if the key of its scope signed it, and records
// who did. It never falls back: without a key, without an answer about the
// digest, or with a podman that cannot check such signatures, it is an error.
func VerifiedPull(ctx context.Context, store Store, registry Registry, trust Trust, stateDir, ref string, opts PullOptions, progress Progress) (Image, error) {
	parsed, err := ParseRef(ref)
	if err != nil {
		return Image{}, err
	}
	parsed = parsed.Tagged()
	key, err := trust.signerOf(parsed)
	if err != nil {
		return Image{}, err
	}
	digest := parsed.Digest
	if digest == "" {
		if digest, err = registry.Digest(ctx, ref); err != nil {
			return Image{}, err
		}
	}
	img, err := pullSigned(ctx, store, key, stateDir, parsed, digest, opts, progress)
	if err != nil {
		return Image{}, err
	}
	if parsed.Tag != "" {
		if err := store.Tag(ctx, img.ID, parsed.Name()+":"+parsed.Tag); err != nil {
			return Image{}, err
		}
		if err := store.Untag(ctx, img.ID, parsed.Name()+"@"+digest); err != nil {
			return Image{}, err
		}
	}
	records := ProvenancesIn(stateDir)
	if before := records.lastSigner(parsed); before != "" && before != key.ID {
		progress.Report(Event{Stage: StageWarning, Text: fmt.Sprintf("image %s: it was signed by %s before and is signed by %s now", ref, before, key.ID)})
	}
	rec := Provenance{Image: img.ID, Reference: ref, Origin: OriginPull, Digest: digest}
	if old, ok, err := records.Load(img.ID); err == nil && ok && old.Origin == OriginPull {
		rec.Signed = old.signatures()
	}
	rec.sign(Signed{ref, digest, key.ID})
	return img, records.Save(rec)
}

// Verify checks the signature of an image that is here once more, at the registry
// of the name that is asked for, and records who signed it. Its layers are not
// downloaded again. One that is asked for by its ID is verified under the name that
// it came by.
func Verify(ctx context.Context, store Store, trust Trust, stateDir, ref string, progress Progress) (Key, error) {
	img, err := store.Inspect(ctx, ref)
	if err != nil {
		return Key{}, err
	}
	records := ProvenancesIn(stateDir)
	rec, ok, err := records.Load(img.ID)
	if err != nil {
		return Key{}, fmt.Errorf("image %s: its record: %w", img.name(), err)
	}
	if !ok || rec.Origin != OriginPull {
		rec = Provenance{Image: img.ID, Reference: ref, Origin: OriginPull, Digest: img.Digest()}
	}
	name := ref
	if asked, err := ParseRef(ref); err != nil || asked.ID != "" || MaybeID(ref) && strings.HasPrefix(img.ID, ref) {
		name = rec.Reference
	}
	parsed, err := ParseRef(name)
	if err != nil {
		return Key{}, err
	}
	if parsed.Digest != "" {
		rec.Digest = parsed.Digest
	}
	if parsed.Local() || rec.Digest == "" {
		return Key{}, fail.Wrap(nil, ErrPolicy, "image %s: it did not come from a registry, so that there is no signature to check", img.name())
	}
	parsed = parsed.Tagged()
	key, err := trust.signerOf(parsed)
	if err != nil {
		return Key{}, err
	}
	checked, err := pullSigned(ctx, store, key, stateDir, parsed, rec.Digest, PullOptions{}, progress)
	if err == nil && parsed.Tag != "" {
		err = store.Untag(ctx, checked.ID, parsed.Name()+"@"+rec.Digest)
	}
	if err != nil {
		return Key{}, err
	}
	if checked.ID != img.ID {
		return Key{}, fail.Wrap(nil, ErrPolicy, "image %s: the registry has another image under its digest %s", img.name(), rec.Digest)
	}
	rec.sign(Signed{name, rec.Digest, key.ID})
	return key, records.Save(rec)
}

// signerOf is the key that must have signed ref.
func (t Trust) signerOf(ref Ref) (Key, error) {
	key, ok, err := t.For(ref)
	switch {
	case err != nil:
		return Key{}, err
	case ref.Short():
		return Key{}, fail.Wrap(fail.Unable, ErrPolicy, "image %s: its name does not say of which registry it is, and keys are trusted for registries", ref).
			Hint("name that too, such as docker.io/library/%s", ref)
	case !ok:
		return Key{}, fail.Wrap(fail.Unable, ErrPolicy, "image %s: no key is trusted for its registry", ref).
			Hint("tbx image trust add %s KEYFILE", ref.Name())
	}
	return key, nil
}

// pullSigned pulls ref's repository at digest with a policy that demands the
// signature of key, for ref's tag. podman gives the image a name with the digest.
func pullSigned(ctx context.Context, store Store, key Key, stateDir string, ref Ref, digest string, opts PullOptions, progress Progress) (Image, error) {
	text, err := policy(key, ref)
	if err != nil {
		return Image{}, err
	}
	dir, err := os.MkdirTemp(stateDir, "policy-")
	if err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(dir)
	opts.SignaturePolicy = filepath.Join(dir, "policy.json")
	if err := os.WriteFile(opts.SignaturePolicy, text, 0o600); err != nil {
		return Image{}, err
	}
	img, err := store.Pull(ctx, ref.Name()+"@"+digest, opts, progress)
	var refused *PullError
	if errors.As(err, &refused) && errors.Is(refused.Reason, ErrPolicy) {
		e := fail.Wrap(nil, refused, "image %s: pull", ref).Hint("the key that is trusted for %s must have signed it: %s", key.Scope, key.ID)
		if key.Kind == KeySigstore {
			e.Kind = fail.Unable // for all that is known
			e.Hint("if it has: some podman cannot check sigstore signatures, Debian 12's among them")
		}
		err = e
	}
	return img, err
}
