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

// sign notes a signature that was checked just now. What was checked under other
// names of the image stays.
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

// Vouched tells who verified the image under the name by which it is asked for now,
// if that counts still: the key that is that name's today, or a keyring by which
// tbx would make an image of that name. What another key vouches for under another
// name is another matter: who may sign for one registry does not for the next. An
// image that is asked for by its ID is vouched for under any name of its record.
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

// KeyringsOf gives the keyrings by which tbx would check the mirror for an image
// that a bootstrap calls so; none if no bootstrap does.
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
