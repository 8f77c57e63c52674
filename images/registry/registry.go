// Package registry asks a registry two small things that podman's service does
// not answer without a pull: which digest a tag points to, and how much a pull
// would download.
//
// It follows the OCI distribution specification 1.1, and finds mirrors,
// certificates and logins where podman does: registries.conf, certs.d and
// containers-auth.json. It must not download layers or change anything.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/tbx-project/tbx/images"
)

// Client is for one user. Its methods may be called concurrently.
type Client struct {
	files Files
	conf  config
	auth  logins
}

var _ images.Registry = (*Client)(nil)

// timeout is for one request: these are a few kilobytes each, and whoever waits
// for them waits for a convenience.
const timeout = 15 * time.Second

// maxManifest is what the specification tells clients to accept at least.
const maxManifest = 4 << 20

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
	if err == nil && m.digest == "" { // the header is optional
		m, err = c.manifest(ctx, ref, http.MethodGet)
	}
	return m.digest, err
}

// Size implements images.Registry.
func (c *Client) Size(ctx context.Context, ref, platform string) (int64, error) {
	m, err := c.manifest(ctx, ref, http.MethodGet)
	if err != nil {
		return 0, err
	}
	body, err := m.parse()
	if err != nil {
		return 0, err
	}
	if len(body.Manifests) > 0 {
		digest := body.instance(platform)
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
		if body, err = m.parse(); err != nil {
			return 0, err
		}
	}
	total := body.Config.Size
	for _, l := range body.Layers {
		total += l.Size
	}
	return total, nil
}

// Instance returns the digest of what ref names, and that of its image for this
// machine: the same where ref does not name an index.
func (c *Client) Instance(ctx context.Context, ref string) (named, own string, err error) {
	m, err := c.manifest(ctx, ref, http.MethodGet)
	if err != nil {
		return "", "", err
	}
	body, err := m.parse()
	if err != nil {
		return "", "", err
	}
	if len(body.Manifests) == 0 {
		return m.digest, m.digest, nil
	}
	if own = body.instance(""); own == "" {
		return "", "", images.PullFailure(ref, images.ErrNoPlatform)
	}
	return m.digest, own, nil
}

// manifest is the answer to one request for a manifest.
type manifest struct {
	digest string
	body   []byte
}

// index and image manifest in one: whichever it is, the other's fields are empty.
type manifestBody struct {
	Config    struct{ Size int64 }
	Layers    []struct{ Size int64 }
	Manifests []struct {
		Digest   string
		Platform struct{ OS, Architecture, Variant string }
	}
}

func (m manifest) parse() (manifestBody, error) {
	var body manifestBody
	err := json.Unmarshal(m.body, &body)
	return body, err
}

// instance is the digest for OS/ARCH[/VARIANT], "" meaning this machine's; of
// several variants the first.
func (b manifestBody) instance(platform string) string {
	if platform == "" {
		platform = "linux/" + runtime.GOARCH
	}
	for _, m := range b.Manifests {
		p := m.Platform
		if name := p.OS + "/" + p.Architecture; name == platform || name+"/"+p.Variant == platform {
			return m.Digest
		}
	}
	return ""
}

// manifest tries each mirror and then the registry itself.
func (c *Client) manifest(ctx context.Context, ref, method string) (manifest, error) {
	parsed, err := images.ParseRef(ref)
	if err != nil {
		return manifest{}, err
	}
	if parsed.Short() || parsed.Local() {
		return manifest{}, images.PullFailure(ref, images.ErrNoManifest)
	}
	places, err := c.conf.places(parsed)
	if err != nil {
		return manifest{}, images.PullFailure(ref, err)
	}
	for _, p := range places {
		var m manifest
		if m, err = c.ask(ctx, p, parsed, method); err == nil {
			return m, nil
		}
	}
	return manifest{}, images.PullFailure(ref, err)
}

func (c *Client) ask(ctx context.Context, p place, ref images.Ref, method string) (manifest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, images.ErrStalled)
	defer cancel()
	m, err := c.exchange(ctx, p, ref, method)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return m, err
}

func (c *Client) exchange(ctx context.Context, p place, ref images.Ref, method string) (manifest, error) {
	client, err := c.files.client(p)
	if err != nil {
		return manifest{}, err
	}
	defer client.CloseIdleConnections()
	what := ref.Digest
	if what == "" {
		what = ref.Tag
	}
	if what == "" {
		what = "latest"
	}
	login := c.auth.find(p)
	header := http.Header{"Accept": {
		"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
	}}
	host := p.host
	if host == "docker.io" {
		host = "registry-1.docker.io" // where Docker Hub serves what it calls docker.io
	}
	address := "/v2/" + p.path + "/manifests/" + what
	resp, err := request(ctx, client, p, method, host+address, header)
	if err != nil {
		return manifest{}, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		if header["Authorization"], err = authorize(ctx, client, p, resp.Header.Get("WWW-Authenticate"), login); err != nil {
			return manifest{}, err
		}
		if resp, err = request(ctx, client, p, method, host+address, header); err != nil {
			return manifest{}, err
		}
	}
	if resp.StatusCode != http.StatusOK {
		return manifest{}, statusError(resp)
	}
	m := manifest{digest: resp.Header.Get("Docker-Content-Digest"), body: resp.body}
	if method == http.MethodGet {
		sum := sha256.Sum256(m.body)
		m.digest = "sha256:" + hex.EncodeToString(sum[:])
		if ref.Digest != "" && strings.HasPrefix(ref.Digest, "sha256:") && ref.Digest != m.digest {
			return manifest{}, fmt.Errorf("%w: %s", images.ErrCorrupt, m.digest)
		}
	}
	return m, nil
}

type response struct {
	*http.Response
	body []byte
}

// request sends one and reads the answer whole. An insecure place is tried
// without TLS when it does not speak it, as podman does.
func request(ctx context.Context, client *http.Client, p place, method, address string, header http.Header) (response, error) {
	schemes := []string{"https://"}
	if p.insecure {
		schemes = append(schemes, "http://")
	}
	var err error
	for _, scheme := range schemes {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, method, scheme+address, nil); err != nil {
			return response{}, err
		}
		for k, v := range header {
			req.Header[k] = v
		}
		var resp *http.Response
		if resp, err = client.Do(req); err != nil {
			continue
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
		if err == nil && len(body) > maxManifest {
			err = fmt.Errorf("%w: a manifest of more than %d bytes", images.ErrCorrupt, maxManifest)
		}
		return response{resp, body}, err
	}
	return response{}, err
}

// authorize answers a challenge (RFC 7235; the token protocol of the
// distribution project) and gives the header for the next try.
func authorize(ctx context.Context, client *http.Client, p place, challenge string, login *login) ([]string, error) {
	scheme, rest, _ := strings.Cut(challenge, " ")
	if strings.EqualFold(scheme, "Basic") {
		if login == nil {
			return nil, images.ErrDenied
		}
		return []string{login.basic()}, nil
	}
	params := challengeParams(rest)
	realm, err := url.Parse(params["realm"])
	if !strings.EqualFold(scheme, "Bearer") || err != nil || realm.Host == "" || realm.Scheme != "https" && !p.insecure {
		return nil, fmt.Errorf("%w: a challenge that is not understood: %q", images.ErrDenied, challenge)
	}
	query := realm.Query()
	if params["service"] != "" {
		query.Set("service", params["service"])
	}
	query.Set("scope", "repository:"+p.path+":pull")
	realm.RawQuery = query.Encode()
	header := http.Header{}
	if login != nil {
		header.Set("Authorization", login.basic())
	}
	resp, err := request(ctx, client, p, http.MethodGet, strings.TrimPrefix(realm.String(), realm.Scheme+"://"), header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp)
	}
	var answer struct {
		Token       string
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(resp.body, &answer); err != nil {
		return nil, fmt.Errorf("%w: its token: %w", images.ErrServer, err)
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	return []string{"Bearer " + answer.Token}, nil
}

// challengeParams reads key="value" pairs; values hold no escapes in practice.
func challengeParams(s string) map[string]string {
	out := map[string]string{}
	for s != "" {
		key, rest, ok := strings.Cut(strings.TrimLeft(s, ", "), "=\"")
		if !ok {
			break
		}
		var value string
		value, s, _ = strings.Cut(rest, `"`)
		out[strings.ToLower(key)] = value
	}
	return out
}

func statusError(resp response) error {
	reason := images.ErrServer
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		reason = images.ErrDenied
	case http.StatusNotFound:
		reason = images.ErrNoManifest
	case http.StatusTooManyRequests:
		reason = images.ErrThrottled
	}
	return fmt.Errorf("%w: %s", reason, resp.Status)
}
