package images

import (
	"slices"
	"strings"
)

// Signed is a name under which an image was verified, and the key that its
// signature was checked with.
type Signed struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Signer    string `json:"signer"`
}

// sign records a signature that was just verified. Signatures under other names of the
// image stay.
func (r *Provenance) sign(s Signed) {
	r.Signed = append(slices.DeleteFunc(r.signatures(), func(old Signed) bool { return old.Reference == s.Reference }), s)
	r.Signer = s.Signer
}

// signatures are those of the record, also of one that an earlier tbx wrote.
func (r *Provenance) signatures() []Signed {
	if len(r.Signed) == 0 && r.Signer != "" {
		return []Signed{{r.Reference, r.Digest, r.Signer}}
	}
	return r.Signed
}

// Vouched returns who verified the image under the name of the present request, if that
// still counts: today's key of that name, or a keyring that tbx would use for an image of
// that name. A key for another name does not count, because the signer for one registry
// may not sign for the next. An image requested by its ID counts as verified under any
// name of its record.
func (t Trust) Vouched(records Provenances, img Image, asked string) (by string, ok bool, err error) {
	rec, ok, err := records.Load(img.ID)
	if err != nil || !ok {
		return "", false, err
	}
	byID := MaybeID(asked) && strings.HasPrefix(img.ID, asked)
	ref, err := ParseRef(asked)
	if err != nil && !byID {
		return "", false, err
	}
	byID = byID || ref.ID != ""
	ref = ref.Tagged()
	if rec.Origin == OriginBootstrap {
		if byID {
			if ref, err = ParseRef(rec.Reference); err != nil {
				return "", false, err
			}
		}
		ok = t.Keyrings != nil && ref.String() == rec.Reference && slices.Contains(t.Keyrings(ref), rec.Bootstrap.Keyring)
		return rec.Bootstrap.Keyring, ok, nil
	}
	for _, s := range rec.signatures() {
		of, err := ParseRef(s.Reference)
		if err != nil {
			return "", false, err
		}
		of = of.Tagged()
		if !byID && of != ref && (ref.Digest == "" || of.Name() != ref.Name() || s.Digest != ref.Digest) {
			continue
		}
		if key, ok, err := t.For(of); err != nil || ok && key.ID == s.Signer {
			return s.Signer, err == nil, err
		}
	}
	return "", false, nil
}

// KeyringsOf returns the keyrings that tbx would use to verify the mirror for a
// bootstrapped image of that name; none if there is no such image.
func (c *Catalogue) KeyringsOf(local Ref) []string {
	for _, d := range c.Distros {
		if local.Name() != BootstrapPrefix+d.Name || local.Digest != "" {
			continue
		}
		if suite := d.Bootstrap.Suites[local.Tag]; suite != "" {
			return d.Bootstrap.keyrings(suite)
		}
	}
	return nil
}
