package ociregistry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/ociregistry"
)

// at serves answer as a registry of that host, which is never looked up.
func at(t *testing.T, host string, answer http.HandlerFunc) ociregistry.Repository {
	t.Helper()
	srv := httptest.NewTLSServer(answer)
	t.Cleanup(srv.Close)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return ociregistry.Repository{Client: client, Host: host, Path: "os/base"}
}

func TestFailures(t *testing.T) {
	challenge := func(header string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				fmt.Fprint(w, "{}")
				return
			}
			w.Header().Set("WWW-Authenticate", header)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	zeros := "sha256:" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"too large":          {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, ociregistry.MaxManifest+1)) }, ociregistry.ErrTooLarge},
		"another manifest":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, ociregistry.ErrCorrupt},
		"basic, no login":    {challenge(`Basic realm="x"`), ociregistry.ErrChallenge},
		"unknown scheme":     {challenge(`Negotiate`), ociregistry.ErrChallenge},
		"token in the clear": {challenge(`Bearer realm="http://r.example/token"`), ociregistry.ErrChallenge},
		"no token":           {challenge(`Bearer realm="https://r.example/token"`), ociregistry.ErrToken},
	} {
		if m, err := at(t, "r.example", test.answer).Manifest(t.Context(), http.MethodGet, zeros); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	var status *ociregistry.StatusError
	answer := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	if _, err := at(t, "r.example", answer).Manifest(t.Context(), http.MethodGet, "1"); !errors.As(err, &status) || status.Code != http.StatusTeapot || status.Token {
		t.Errorf("status: %v", err)
	}
}

// docker.io is a name in references; another host serves it.
func TestDockerHub(t *testing.T) {
	asked := ""
	r := at(t, "docker.io", func(w http.ResponseWriter, r *http.Request) { asked = r.Host })
	if _, err := r.Manifest(t.Context(), http.MethodHead, "1"); err != nil || asked != "registry-1.docker.io" {
		t.Errorf("asked %q, %v", asked, err)
	}
}

func TestInstance(t *testing.T) {
	m := ociregistry.Manifest{Body: []byte(`{"manifests":[{"digest":"a","platform":{"os":"linux","architecture":"arm","variant":"v6"}},
		{"digest":"b","platform":{"os":"linux","architecture":"arm","variant":"v7"}}]}`)}
	c, err := m.Contents()
	if err != nil {
		t.Fatal(err)
	}
	for platform, want := range map[string]string{"linux/arm": "a", "linux/arm/v7": "b", "linux/arm/v8": "", "windows/arm": ""} {
		if got := c.Instance(platform); got != want {
			t.Errorf("%s: %q", platform, got)
		}
	}
	for kind, want := range map[string]bool{"application/vnd.oci.image.index.v1+json; charset=utf-8": true, "application/json": false, "": false} {
		if (ociregistry.Manifest{Type: kind}).IsIndex() != want {
			t.Errorf("%q", kind)
		}
	}
}
