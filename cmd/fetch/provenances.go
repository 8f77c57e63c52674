package fetch

import (
	"context"
	"path/filepath"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/registry"
)

// Recorded is tbx's record of an image; empty for one that podman fetched.
type Recorded struct {
	Origin    images.Origin `json:"origin,omitempty"`
	Reference string        `json:"reference,omitempty"`
	Digest    string        `json:"digest,omitempty"`
	Signer    string        `json:"signer,omitempty"`
}

// OriginOf reads the record of an image ID. An unreadable record counts as none.
func (e *Env) OriginOf(id string) Recorded {
	rec, ok, err := e.Provenances().Load(id)
	if err != nil || !ok {
		return Recorded{}
	}
	return Recorded{rec.Origin, rec.Reference, rec.Digest, rec.Signer}
}

// Provenances returns the records of where images came from. Call Host first.
func (e *Env) Provenances() images.Provenances { return images.ProvenancesIn(e.Dirs().State) }

// Trust returns the keys that the user, the administrator and the distribution trust.
func (e *Env) Trust() images.Trust {
	return images.Trust{
		Dir: filepath.Join(e.Dirs().Config, "keys"), Other: []string{"/etc/tbx/keys", "/usr/share/tbx/keys"},
		Keyrings: func(local images.Ref) []string {
			if c, _, err := e.Catalogue(); err == nil {
				return c.KeyringsOf(local)
			}
			return nil
		},
	}
}

// LateRegistry reads the user's registry files only when it is asked: a faulty file must
// not break the use of a local image.
type LateRegistry struct {
	env      *Env
	authFile string
}

// Registry returns the registries, with the credentials of authFile, or of podman login
// if that is empty.
func (e *Env) Registry(authFile string) LateRegistry { return LateRegistry{e, authFile} }

// Client reads those files.
func (r LateRegistry) Client() (*registry.Client, error) {
	return registry.New(registry.UserFiles(r.env.Home(), r.authFile, r.env.Getenv))
}

// Digest implements images.Registry.
func (r LateRegistry) Digest(ctx context.Context, ref string) (string, error) {
	c, err := r.Client()
	if err != nil {
		return "", err
	}
	return c.Digest(ctx, ref)
}

// Size implements images.Registry.
func (r LateRegistry) Size(ctx context.Context, ref, platform string) (int64, error) {
	c, err := r.Client()
	if err != nil {
		return 0, err
	}
	return c.Size(ctx, ref, platform)
}
