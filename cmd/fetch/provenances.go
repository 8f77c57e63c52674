package fetch

import (
	"context"
	"path/filepath"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/registry"
)

// Recorded is what tbx recorded of an image when it came; nothing for one that
// podman fetched.
type Recorded struct {
	Origin    images.Origin `json:"origin,omitempty"`
	Reference string        `json:"reference,omitempty"`
	Digest    string        `json:"digest,omitempty"`
	Signer    string        `json:"signer,omitempty"`
}

// OriginOf reads the record of an image ID. What cannot be read is not known.
func (e *Env) OriginOf(id string) Recorded {
	rec, ok, err := e.Provenances().Load(id)
	if err != nil || !ok {
		return Recorded{}
	}
	return Recorded{rec.Origin, rec.Reference, rec.Digest, rec.Signer}
}

// Provenances says where images came from. Host must have been called before.
func (e *Env) Provenances() images.Provenances { return images.ProvenancesIn(e.Dirs().State) }

// Trust gives the keys that the user, the administrator and the distribution trust.
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

// LateRegistry reads the user's files of registries when it is asked and not
// before: an image that is here must not fail for them.
type LateRegistry struct {
	env      *Env
	authFile string
}

// Registry returns the registries, with the credentials of authFile, or of podman
// login where that is empty.
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
