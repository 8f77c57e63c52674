package registry_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/registry"
)

var (
	old   = "sha256:" + strings.Repeat("a", 64)
	fresh = "sha256:" + strings.Repeat("b", 64)
	// of the index that answer gives
	body = fmt.Sprintf(`{"manifests":[{"digest":%q,"platform":{"os":"linux","architecture":"other"}},`+
		`{"digest":%q,"platform":{"os":"linux","architecture":%q}}]}`, fresh, old, runtime.GOARCH)
	list = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body)))
)

const plain = "application/vnd.oci.image.manifest.v1+json"
const index = "application/vnd.oci.image.index.v1+json"

func answer(kind, digest string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Content-Digest", digest)
		if r.Method == http.MethodGet {
			fmt.Fprint(w, body)
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		tag     string
		want    string
		err     error
		asked   []string
	}{
		{"same", answer(plain, old), ":1", "", nil, []string{"HEAD /v2/os/base/manifests/1"}},
		{"other", answer(plain, fresh), ":1", fresh, nil, []string{"HEAD /v2/os/base/manifests/1"}},
		{"latest", answer(plain, old), "", "", nil, []string{"HEAD /v2/os/base/manifests/latest"}},
		{"pinned", status(500), "@" + old, "", nil, nil},
		{"index that holds ours", answer(index, list), ":1", "", nil, []string{"HEAD /v2/os/base/manifests/1", "GET /v2/os/base/manifests/" + list}},
		{"index with type parameters", answer(index+"; charset=utf-8", list), ":1", "", nil, []string{"HEAD /v2/os/base/manifests/1", "GET /v2/os/base/manifests/" + list}},
		{"another index than the tag's", answer(index, fresh), ":1", "", osupdate.ErrBadOutput, []string{"HEAD /v2/os/base/manifests/1", "GET /v2/os/base/manifests/" + fresh}},
		{"no digest", status(200), ":1", "", osupdate.ErrBadOutput, []string{"HEAD /v2/os/base/manifests/1"}},
		{"gone", status(404), ":1", "", osupdate.ErrNotFound, []string{"HEAD /v2/os/base/manifests/1"}},
		{"forbidden", status(403), ":1", "", osupdate.ErrPermission, []string{"HEAD /v2/os/base/manifests/1"}},
		{"basic auth", status(401), ":1", "", osupdate.ErrPermission, []string{"HEAD /v2/os/base/manifests/1"}},
		{"overloaded", status(503), ":1", "", osupdate.ErrNetwork, []string{"HEAD /v2/os/base/manifests/1"}},
		{"too many", status(429), ":1", "", osupdate.ErrNetwork, []string{"HEAD /v2/os/base/manifests/1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.URL.Path)
				c.handler(w, r)
			}))
			defer srv.Close()
			got, err := registry.Newer(t.Context(), srv.Client(), strings.TrimPrefix(srv.URL, "https://")+"/os/base"+c.tag, old)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && len(fail.Hints(err)) == 0 {
				t.Errorf("%v: no next step", err)
			}
			if !slices.Equal(asked, c.asked) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestToken(t *testing.T) {
	var srv *httptest.Server
	srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.URL.Query().Get("scope") == "repository:os/base:pull":
			fmt.Fprint(w, `{"token":"T"}`)
		case r.Header.Get("Authorization") == "Bearer T":
			answer(plain, fresh)(w, r)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+srv.URL+`/token",service="x",scope="repository:os/base:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	got, err := registry.Newer(t.Context(), srv.Client(), strings.TrimPrefix(srv.URL, "https://")+"/os/base:1", old)
	if got != fresh || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTokenIsNotFetchedInTheClear(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://elsewhere.invalid/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	_, err := registry.Newer(t.Context(), srv.Client(), strings.TrimPrefix(srv.URL, "https://")+"/os/base:1", old)
	if !errors.Is(err, osupdate.ErrPermission) {
		t.Error(err)
	}
}

func TestUnreachableAndMalformed(t *testing.T) {
	srv := httptest.NewTLSServer(status(200))
	at := strings.TrimPrefix(srv.URL, "https://")
	client := srv.Client()
	srv.Close()
	if _, err := registry.Newer(t.Context(), client, at+"/os/base:1", old); !errors.Is(err, osupdate.ErrNetwork) {
		t.Error(err)
	}
	for _, ref := range []string{"", "name", "/etc/passwd", "host/UPPER", "h/../x", "h/a b", "user:pw@h/x"} {
		if _, err := registry.Newer(t.Context(), client, ref, old); !errors.Is(err, osupdate.ErrUnsupported) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}
