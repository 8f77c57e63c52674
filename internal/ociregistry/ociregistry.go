// Package ociregistry asks a container registry for a manifest, without pulling the
// image: the OCI distribution specification 1.1, "Pulling manifests", and the token
// protocol of the distribution project.
//
// It knows no files of podman (mirrors, logins, certificates): the caller says where to
// ask, and with which client. It must not download layers or change anything.
package ociregistry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxManifest is the smallest limit, in bytes, that the specification allows for clients.
// Larger manifests are refused.
const MaxManifest = 4 << 20

// Repository is the place to ask.
type Repository struct {
	Client   *http.Client
	Host     string // with its port, if it has one; docker.io is asked where it serves
	Path     string // of the repository
	Insecure bool   // also asked without TLS, and its tokens too: insecure in containers-registries.conf(5)
	Login    *Login // nil: an anonymous reader
}

// Login is one user name and password.
type Login struct{ User, Password string }

// The causes of a failure besides those of the network and *StatusError.
var (
	ErrTooLarge  = errors.New("the manifest is larger than registries may serve")
	ErrCorrupt   = errors.New("the manifest does not have the digest that was asked for")
	ErrChallenge = errors.New("the registry wants a login")      // that is not there, or in a way that is not understood or not safe
	ErrToken     = errors.New("the registry's token is no JSON") // or has no token in it
)

// StatusError is an answer that is neither the manifest nor a challenge.
type StatusError struct {
	Code   int
	Status string // code and words, as the registry gave them
	Token  bool   // of the server that gives tokens
}

func (e *StatusError) Error() string { return e.Status }

// Manifest asks for the manifest of a tag or digest, by http.MethodHead or
// http.MethodGet, and logs in when the registry wants that.
func (r Repository) Manifest(ctx context.Context, method, reference string) (Manifest, error) {
	host := r.Host
	if host == "docker.io" {
		host = "registry-1.docker.io"
	}
	address := host + "/v2/" + r.Path + "/manifests/" + reference
	header := http.Header{"Accept": {
		typeIndex, "application/vnd.oci.image.manifest.v1+json",
		typeList, "application/vnd.docker.distribution.manifest.v2+json",
	}}
	resp, err := r.request(ctx, method, address, header)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != "" {
		var authorization string
		if authorization, err = r.authorize(ctx, resp.Header.Get("WWW-Authenticate")); err != nil {
			return Manifest{}, err
		}
		header.Set("Authorization", authorization)
		resp, err = r.request(ctx, method, address, header)
	}
	switch {
	case err != nil:
		return Manifest{}, err
	case resp.StatusCode != http.StatusOK:
		return Manifest{}, &StatusError{Code: resp.StatusCode, Status: resp.Status}
	}
	m := Manifest{Type: resp.Header.Get("Content-Type"), Digest: resp.Header.Get("Docker-Content-Digest"), Body: resp.body}
	if method == http.MethodGet {
		sum := sha256.Sum256(m.Body)
		m.Digest = "sha256:" + hex.EncodeToString(sum[:])
		if strings.HasPrefix(reference, "sha256:") && reference != m.Digest {
			return Manifest{}, fmt.Errorf("%w: it has %s", ErrCorrupt, m.Digest)
		}
	}
	return m, nil
}

type response struct {
	*http.Response
	body []byte
}

// request sends one request and reads the whole answer. An insecure registry is tried
// without TLS if it does not use it, as podman does.
func (r Repository) request(ctx context.Context, method, address string, header http.Header) (response, error) {
	schemes := []string{"https://"}
	if r.Insecure {
		schemes = append(schemes, "http://")
	}
	var err error
	for _, scheme := range schemes {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, method, scheme+address, nil); err != nil {
			return response{}, err
		}
		req.Header = header.Clone()
		var resp *http.Response
		if resp, err = r.Client.Do(req); err != nil {
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, MaxManifest+1))
		if err == nil && len(body) > MaxManifest {
			err = ErrTooLarge
		}
		return response{resp, body}, err
	}
	return response{}, err
}
