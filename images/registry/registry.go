// Package registry asks a registry two small things that podman's service does
// not answer without a pull: which digest a tag points to, and how much a pull
// would download.
//
// It finds mirrors, certificates and logins where podman does (registries.conf, certs.d
// and containers-auth.json); package ociregistry has the protocol. It must not download
// layers or change anything.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/ociregistry"
)

// Client is for one user. Its methods may be called concurrently.
type Client struct {
	files Files
	conf  config
	auth  logins
}

var _ images.Registry = (*Client)(nil)

// timeout is for one request of a few kilobytes; the user waits for a convenience only.
const timeout = 15 * time.Second

// New reads the configuration. A file that is missing is empty.
func New(files Files) (*Client, error) {
	c := &Client{files: files}
	var err error
	if c.conf, err = readConfig(files.RegistriesConf); err != nil {
		return nil, err
	}
	c.auth, err = readLogins(files.Auth)
	return c, err
}

// Digest implements images.Registry with one HEAD request, and one for a token
// where the registry wants that.
func (c *Client) Digest(ctx context.Context, ref string) (string, error) {
	m, err := c.manifest(ctx, ref, http.MethodHead)
	if err == nil && m.Digest == "" { // the header is optional
		m, err = c.manifest(ctx, ref, http.MethodGet)
	}
	return m.Digest, err
}

// Size implements images.Registry.
func (c *Client) Size(ctx context.Context, ref, platform string) (int64, error) {
	m, err := c.manifest(ctx, ref, http.MethodGet)
	if err != nil {
		return 0, err
	}
	body, err := m.Contents()
	if err != nil {
		return 0, err
	}
	if len(body.Manifests) > 0 {
		digest := body.Instance(platform)
		if digest == "" {
			return 0, images.PullFailure(ref, images.ErrNoPlatform)
		}
		parsed, err := images.ParseRef(ref)
		if err != nil {
			return 0, err
		}
		if m, err = c.manifest(ctx, parsed.Name()+"@"+digest, http.MethodGet); err != nil {
			return 0, err
		}
		if body, err = m.Contents(); err != nil {
			return 0, err
		}
	}
	return body.Size(), nil
}

// Instance returns the digest of what ref names, and that of its image for this
// machine: the same where ref does not name an index.
func (c *Client) Instance(ctx context.Context, ref string) (named, own string, err error) {
	m, err := c.manifest(ctx, ref, http.MethodGet)
	if err != nil {
		return "", "", err
	}
	body, err := m.Contents()
	if err != nil {
		return "", "", err
	}
	if len(body.Manifests) == 0 {
		return m.Digest, m.Digest, nil
	}
	if own = body.Instance(""); own == "" {
		return "", "", images.PullFailure(ref, images.ErrNoPlatform)
	}
	return m.Digest, own, nil
}

// manifest tries each mirror and then the registry itself.
func (c *Client) manifest(ctx context.Context, ref, method string) (ociregistry.Manifest, error) {
	parsed, err := images.ParseRef(ref)
	if err != nil {
		return ociregistry.Manifest{}, err
	}
	if parsed.Short() || parsed.Local() {
		return ociregistry.Manifest{}, images.PullFailure(ref, images.ErrNoManifest)
	}
	places, err := c.conf.places(parsed)
	if err != nil {
		return ociregistry.Manifest{}, images.PullFailure(ref, err)
	}
	for _, p := range places {
		var m ociregistry.Manifest
		if m, err = c.ask(ctx, p, parsed, method); err == nil {
			return m, nil
		}
	}
	return ociregistry.Manifest{}, images.PullFailure(ref, err)
}

func (c *Client) ask(ctx context.Context, p place, ref images.Ref, method string) (ociregistry.Manifest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, images.ErrStalled)
	defer cancel()
	m, err := c.exchange(ctx, p, ref, method)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return m, err
}

func (c *Client) exchange(ctx context.Context, p place, ref images.Ref, method string) (ociregistry.Manifest, error) {
	client, err := c.files.client(p)
	if err != nil {
		return ociregistry.Manifest{}, err
	}
	defer client.CloseIdleConnections()
	what := ref.Digest
	if what == "" {
		what = ref.Tag
	}
	if what == "" {
		what = "latest"
	}
	at := ociregistry.Repository{Client: client, Host: p.host, Path: p.path, Insecure: p.insecure, Login: c.auth.find(p)}
	m, err := at.Manifest(ctx, method, what)
	return m, reason(err)
}

// reason adds the Err… of package images to a failure that has one.
func reason(err error) error {
	var status *ociregistry.StatusError
	switch {
	case errors.Is(err, ociregistry.ErrTooLarge), errors.Is(err, ociregistry.ErrCorrupt):
		return fmt.Errorf("%w: %w", images.ErrCorrupt, err)
	case errors.Is(err, ociregistry.ErrChallenge):
		return fmt.Errorf("%w: %w", images.ErrDenied, err)
	case errors.Is(err, ociregistry.ErrToken):
		return fmt.Errorf("%w: %w", images.ErrServer, err)
	case !errors.As(err, &status):
		return err
	}
	kind := images.ErrServer
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = images.ErrDenied
	case http.StatusNotFound:
		kind = images.ErrNoManifest
	case http.StatusTooManyRequests:
		kind = images.ErrThrottled
	}
	return fmt.Errorf("%w: %w", kind, err)
}
