// Package registry asks a container registry, without root and without pulling
// anything, whether a tag still points to the manifest that the host runs. The
// answer is a hint: TLS protects it, no signature; the real pull verifies.
// Protocol: OCI Distribution Specification 1.1, "Pulling manifests".
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// Timeout bounds one request; a check is worth no more than three seconds each.
const Timeout = 3 * time.Second

const (
	mediaIndex = "application/vnd.oci.image.index.v1+json"
	mediaList  = "application/vnd.docker.distribution.manifest.list.v2+json"
	accept     = mediaIndex + ", " + mediaList + ", application/vnd.oci.image.manifest.v1+json, " +
		"application/vnd.docker.distribution.manifest.v2+json"
	mostOfIndex = 4 << 20 // the specification's limit for a manifest
)

var (
	referenceForm = pattern.Lazy(`^([a-zA-Z0-9.-]+(?::[0-9]+)?)/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)` +
		`(?::([A-Za-z0-9_][A-Za-z0-9._-]*))?(@sha256:[0-9a-f]{64})?$`)
	digestForm = pattern.Lazy(`^sha256:[0-9a-f]{64}$`)
)

// Newer compares the manifest that reference (HOST/REPOSITORY:TAG) names now
// with the digest that the host runs. It returns the new manifest's digest for
// this machine, or "" when it is the same. One HEAD request when nothing
// changed; a token when the registry wants one, and one GET when the tag names
// an index of several machines' images.
func Newer(ctx context.Context, client *http.Client, reference, digest string) (string, error) {
	m := referenceForm().FindStringSubmatch(reference)
	if m == nil {
		return "", fail.New(osupdate.ErrUnsupported, "image %s: not a name in a registry", reference).Hint("check with the updater itself")
	}
	if m[4] != "" {
		return "", nil // pinned to one manifest: nothing newer can exist
	}
	host, repo, tag := m[1], m[2], m[3]
	if tag == "" {
		tag = "latest"
	}
	q := query{ctx: ctx, client: client, reference: reference, base: "https://" + host + "/v2/" + repo + "/manifests/"}
	head, _, err := q.do(http.MethodHead, tag)
	if err != nil {
		return "", err
	}
	now := head.Get("Docker-Content-Digest")
	if !digestForm().MatchString(now) {
		return "", fail.New(osupdate.ErrBadOutput, "image %s: the registry gave no digest", reference).Hint("check with the updater itself")
	}
	if now == digest {
		return "", nil
	}
	kind, _, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil || kind != mediaIndex && kind != mediaList {
		return now, nil
	}
	_, body, err := q.do(http.MethodGet, now)
	if err != nil {
		return "", err
	}
	mine, err := platform(body, runtime.GOARCH)
	if err != nil {
		return "", fail.Wrap(osupdate.ErrBadOutput, err, "image %s", reference).Hint("check with the updater itself")
	}
	if mine == digest {
		return "", nil
	}
	return mine, nil
}

func platform(index []byte, arch string) (string, error) {
	var doc struct {
		Manifests []struct {
			Digest   string `json:"digest"`
			Platform struct {
				Architecture string `json:"architecture"`
				OS           string `json:"os"`
			} `json:"platform"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(index, &doc); err != nil {
		return "", err
	}
	for _, m := range doc.Manifests {
		if m.Platform.Architecture == arch && m.Platform.OS == "linux" && digestForm().MatchString(m.Digest) {
			return m.Digest, nil
		}
	}
	return "", errors.New("no image for linux/" + arch)
}

type query struct {
	ctx       context.Context
	client    *http.Client
	reference string
	base      string
	token     string
}

// do makes a request, and a second one with a token when the first is answered
// with 401 and says where to get it.
func (q *query) do(method, what string) (http.Header, []byte, error) {
	for {
		req, err := http.NewRequestWithContext(q.ctx, method, q.base+what, nil)
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Accept", accept)
		if q.token != "" {
			req.Header.Set("Authorization", "Bearer "+q.token)
		}
		resp, body, err := q.send(req)
		if err != nil {
			return nil, nil, err
		}
		switch code := resp.StatusCode; {
		case code == http.StatusOK:
			return resp.Header, body, nil
		case code == http.StatusUnauthorized && q.token == "":
			if q.token, err = q.fetchToken(resp.Header.Get("WWW-Authenticate")); err != nil {
				return nil, nil, err
			}
		case code == http.StatusUnauthorized || code == http.StatusForbidden:
			return nil, nil, fail.New(osupdate.ErrPermission, "image %s: the registry does not let an ordinary user look (%s)", q.reference,
				resp.Status).
				Hint("root has the registry's credentials: sudo tbx host check")
		case code == http.StatusNotFound:
			return nil, nil, fail.New(osupdate.ErrNotFound, "image %s: the registry does not have it", q.reference).
				Hint("follow another one: tbx host switch IMAGE")
		default:
			return nil, nil, fail.New(osupdate.ErrNetwork, "image %s: the registry answers %s", q.reference, resp.Status).Hint("try again later")
		}
	}
}

func (q *query) send(req *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), Timeout)
	defer cancel()
	resp, err := q.client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, fail.Wrap(osupdate.ErrNetwork, err, "image %s: the registry cannot be reached", q.reference).
			Hint("check the network and try again")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostOfIndex))
	if err != nil {
		return nil, nil, fail.Wrap(osupdate.ErrNetwork, err, "image %s: the registry broke off", q.reference).Hint("try again")
	}
	return resp, body, nil
}

var challengePart = pattern.Lazy(`(\w+)="([^"]*)"`)

// fetchToken follows a Bearer challenge, as an anonymous reader.
func (q *query) fetchToken(challenge string) (string, error) {
	refused := func(why string) error {
		return fail.New(osupdate.ErrPermission, "image %s: %s", q.reference, why).Hint("root has the registry's credentials: sudo tbx host check")
	}
	if !strings.HasPrefix(challenge, "Bearer ") {
		return "", refused("the registry wants credentials")
	}
	values, realm := url.Values{}, ""
	for _, m := range challengePart().FindAllStringSubmatch(challenge, -1) {
		if m[1] == "realm" {
			realm = m[2]
		} else if m[1] == "service" || m[1] == "scope" {
			values.Set(m[1], m[2])
		}
	}
	u, err := url.Parse(realm)
	if err != nil || u.Scheme != "https" {
		return "", refused(fmt.Sprintf("the registry sends us to %q for a token", realm))
	}
	u.RawQuery = values.Encode()
	req, err := http.NewRequestWithContext(q.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	resp, body, err := q.send(req)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Token+answer.AccessToken == "" {
		return "", refused("the registry gives no token to an anonymous reader")
	}
	if answer.Token == "" {
		return answer.AccessToken, nil
	}
	return answer.Token, nil
}
