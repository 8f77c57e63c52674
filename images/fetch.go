package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
)

// Fetcher gets images from registries into a store and records where they came from.
type Fetcher struct {
	Store    Store
	Registry Registry // asked for digests by PullVerified; else it may be nil
	Trust    Trust    // of PullVerified and Verify
	StateDir string   // $XDG_STATE_HOME/tbx: provenances, and the lock of preparing
	Progress Progress // may be nil
}

// Pull fetches ref, writes down its provenance, and prepares it unless opts say not to.
func (f Fetcher) Pull(ctx context.Context, ref string, opts PullOptions) (Image, error) {
	img, err := f.Store.Pull(ctx, ref, opts, f.Progress)
	if err != nil {
		return Image{}, err
	}
	// Keep the record of an earlier check of the same image.
	provenances := ProvenancesIn(f.StateDir)
	if rec, ok, err := provenances.Load(img.ID); err != nil || !ok || rec.Signer == "" {
		if err := provenances.Save(Provenance{Image: img.ID, Reference: ref, Origin: OriginPull, Digest: img.Digest()}); err != nil {
			return Image{}, fmt.Errorf("image %s: write down its origin: %w", escape.Text(ref), err)
		}
	}
	return img, f.prepare(ctx, img, opts)
}

// PullVerified is Pull for an image that the key of its scope must have signed. It never
// falls back: a missing key, a missing answer about the digest, or a podman that cannot
// check such signatures is an error.
func (f Fetcher) PullVerified(ctx context.Context, ref string, opts PullOptions) (Image, error) {
	parsed, err := ParseRef(ref)
	if err != nil {
		return Image{}, err
	}
	parsed = parsed.Tagged()
	key, err := f.Trust.signerOf(parsed)
	if err != nil {
		return Image{}, err
	}
	digest := parsed.Digest
	if digest == "" {
		if digest, err = f.Registry.Digest(ctx, ref); err != nil {
			return Image{}, err
		}
	}
	img, err := f.pullSigned(ctx, key, parsed, digest, opts)
	if err != nil {
		return Image{}, err
	}
	if parsed.Tag != "" {
		if err := f.Store.Tag(ctx, img.ID, parsed.Name()+":"+parsed.Tag); err != nil {
			return Image{}, err
		}
		if err := f.Store.Untag(ctx, img.ID, parsed.Name()+"@"+digest); err != nil {
			return Image{}, err
		}
	}
	provenances := ProvenancesIn(f.StateDir)
	if before := provenances.lastSigner(parsed); before != "" && before != key.ID {
		text := fmt.Sprintf("image %s: it was signed by %s before and is signed by %s now", ref, before, key.ID)
		f.Progress.Report(Event{Stage: StageWarning, Text: text})
	}
	rec := Provenance{Image: img.ID, Reference: ref, Origin: OriginPull, Digest: digest}
	if old, ok, err := provenances.Load(img.ID); err == nil && ok && old.Origin == OriginPull {
		rec.Signed = old.signatures()
	}
	rec.sign(Signed{ref, digest, key.ID})
	if err := provenances.Save(rec); err != nil {
		return Image{}, err
	}
	return img, f.prepare(ctx, img, opts)
}

// Verify checks the signature of an image in the store again, at the registry of the
// name that is asked for, and writes down who signed it. It downloads no layers. An
// image that is asked for by its ID is verified under the name that it was pulled by.
func (f Fetcher) Verify(ctx context.Context, ref string) (Key, error) {
	img, err := f.Store.Inspect(ctx, ref)
	if err != nil {
		return Key{}, err
	}
	provenances := ProvenancesIn(f.StateDir)
	rec, ok, err := provenances.Load(img.ID)
	if err != nil {
		return Key{}, fmt.Errorf("image %s: its provenance: %w", img.name(), err)
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
	key, err := f.Trust.signerOf(parsed)
	if err != nil {
		return Key{}, err
	}
	checked, err := f.pullSigned(ctx, key, parsed, rec.Digest, PullOptions{})
	if err == nil && parsed.Tag != "" {
		err = f.Store.Untag(ctx, checked.ID, parsed.Name()+"@"+rec.Digest)
	}
	if err != nil {
		return Key{}, err
	}
	if checked.ID != img.ID {
		return Key{}, fail.Wrap(nil, ErrPolicy, "image %s: the registry has another image under its digest %s", img.name(), rec.Digest)
	}
	rec.sign(Signed{name, rec.Digest, key.ID})
	return key, provenances.Save(rec)
}

// prepare maps the layers of img for toolboxes, if there is room. It checks the room
// first: podman 4.3 does not report a disk that fills up while it maps layers, and
// toolboxes of the image would miss files. It takes a lock, because a second tbx would
// remove the first one's container as a left-over.
func (f Fetcher) prepare(ctx context.Context, img Image, opts PullOptions) error {
	if opts.Unprepared {
		return nil
	}
	lock, err := flock.Wait(ctx, filepath.Join(f.StateDir, "prepare.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	cost, err := f.Store.PrepareCost(ctx, img)
	if err == nil && cost > 0 {
		var free int64
		need := cost + cost/4 // small files take whole blocks
		if free, err = f.Store.Free(ctx); err == nil && need > free {
			err = fmt.Errorf("%w: it needs %s and there are %s", ErrDiskFull, bytesize.Text(need), bytesize.Text(free))
		}
	}
	if err == nil {
		f.Progress.Report(Event{Stage: StagePrepare, Total: cost})
		err = f.Store.Prepare(ctx, img.ID)
	}
	if err != nil {
		return NameFullDisk(fail.Wrap(nil, err, "image %s: it is here, but could not be prepared for toolboxes", img.name()))
	}
	f.Progress.Report(Event{Stage: StagePrepare, Done: cost, Total: cost})
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

// pullSigned pulls ref's repository at digest with a policy that demands the
// signature of key, for ref's tag. podman gives the image a name with the digest.
func (f Fetcher) pullSigned(ctx context.Context, key Key, ref Ref, digest string, opts PullOptions) (Image, error) {
	text, err := policy(key, ref)
	if err != nil {
		return Image{}, err
	}
	dir, err := os.MkdirTemp(f.StateDir, "policy-")
	if err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(dir)
	opts.SignaturePolicy = filepath.Join(dir, "policy.json")
	if err := os.WriteFile(opts.SignaturePolicy, text, 0o600); err != nil {
		return Image{}, err
	}
	img, err := f.Store.Pull(ctx, ref.Name()+"@"+digest, opts, f.Progress)
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
