package registry_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/registry"
)

const (
	manifest = `{"config":{"size":10},"layers":[{"size":200},{"size":3000}]}`
	index    = `{"manifests":[{"digest":"DIGEST","platform":{"os":"linux","architecture":"riscv64"}}]}`
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// server is a TLS registry that notes what it was asked.
type server struct {
	*httptest.Server
	host string
	mu   sync.Mutex
	log  []string
}

func newServer(t *testing.T, answer http.HandlerFunc) *server {
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		s.mu.Lock()
		s.log = append(s.log, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+user))
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	s.host = s.Listener.Addr().String()
	return s
}

// good answers with the manifests above.
func good(w http.ResponseWriter, r *http.Request) {
	body := map[string]string{
		"/v2/team/app/manifests/1":                     manifest,
		"/v2/team/app/manifests/" + digest(manifest):   manifest,
		"/v2/team/multi/manifests/latest":              strings.Replace(index, "DIGEST", digest(manifest), 1),
		"/v2/team/multi/manifests/" + digest(manifest): manifest,
		"/v2/team/lie/manifests/" + digest("other"):    manifest,
	}[r.URL.Path]
	if body == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest(body))
	w.Write([]byte(body))
}

// client trusts the servers; conf is registries.conf, auth is auth.json.
func client(t *testing.T, conf, auth string, trusted ...*server) *registry.Client {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, s := range trusted {
		write("certs.d/"+s.host+"/ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	}
	c, err := registry.New(registry.Files{
		RegistriesConf: []string{write("r.conf", []byte(conf)), filepath.Join(dir, "missing")},
		CertDirs:       []string{filepath.Join(dir, "certs.d")},
		Auth:           []string{write("auth.json", []byte(auth))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDigestCostsOneHead(t *testing.T) {
	s := newServer(t, good)
	got, err := client(t, "", "{}", s).Digest(context.Background(), s.host+"/team/app:1")
	if err != nil || got != digest(manifest) || !slices.Equal(s.log, []string{"HEAD /v2/team/app/manifests/1"}) {
		t.Errorf("%s, %v, requests %q", got, err, s.log)
	}
}

func TestDigestWithoutTheHeader(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(manifest)) })
	if got, err := client(t, "", "{}", s).Digest(context.Background(), s.host+"/team/app"); err != nil || got != digest(manifest) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestSize(t *testing.T) {
	s := newServer(t, good)
	c := client(t, "", "{}", s)
	for _, q := range [][2]string{{"/team/app:1", ""}, {"/team/multi", "linux/riscv64"}} {
		if got, err := c.Size(context.Background(), s.host+q[0], q[1]); err != nil || got != 3210 {
			t.Errorf("%s: %d, %v", q, got, err)
		}
	}
	if _, err := c.Size(context.Background(), s.host+"/team/multi", "linux/sparc"); !errors.Is(err, images.ErrNoPlatform) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Size(context.Background(), s.host+"/team/lie@"+digest("other"), ""); !errors.Is(err, images.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}

func TestTokens(t *testing.T) {
	var s *server
	s = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			if u, p, _ := r.BasicAuth(); u != "alice" || p != "pw" || r.URL.Query().Get("scope") != "repository:team/app:pull" || r.URL.Query().Get("service") != "reg" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			w.Write([]byte(`{"token":"T"}`))
		case r.Header.Get("Authorization") == "Bearer T":
			good(w, r)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+s.host+`/token",service="reg",scope="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	auth := `{"auths":{"` + s.host + `/team":{"auth":"YWxpY2U6cHc="}}}` // alice:pw
	if got, err := client(t, "", auth, s).Digest(context.Background(), s.host+"/team/app:1"); err != nil || got != digest(manifest) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := client(t, "", "{}", s).Digest(context.Background(), s.host+"/team/app:1"); !errors.Is(err, images.ErrDenied) {
		t.Errorf("without a login: %v", err)
	}
}

func TestATokenServerWithoutTLSGetsNoPassword(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked with %s", r.Header) }))
	defer plain.Close()
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+plain.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	auth := `{"auths":{"` + s.host + `":{"auth":"YWxpY2U6cHc="}}}`
	if _, err := client(t, "", auth, s).Digest(context.Background(), s.host+"/a"); !errors.Is(err, images.ErrDenied) {
		t.Errorf("error %v", err)
	}
}

func TestMirrors(t *testing.T) {
	needsLogin := func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.NotFound(w, r)
	}
	mirror, origin := newServer(t, needsLogin), newServer(t, good)
	conf := "[[registry]]\nprefix = \"example.org/app\"\nlocation = \"" + origin.host + "/team/app\"\n[[registry.mirror]]\nlocation = \"" + mirror.host + "/cache\"\n"
	auth := `{"auths":{"example.org":{"auth":"YWxpY2U6cHc="},"` + origin.host + `":{"auth":"YWxpY2U6cHc="}}}`
	got, err := client(t, conf, auth, mirror, origin).Digest(context.Background(), "example.org/app:1")
	if err != nil || got != digest(manifest) {
		t.Errorf("%s, %v", got, err)
	}
	if !slices.Equal(mirror.log, []string{"HEAD /v2/cache/manifests/1"}) {
		t.Errorf("the mirror was asked %q: it has no login", mirror.log)
	}
	conf = "[[registry]]\nprefix = \"*.example.org\"\nblocked = true\n"
	if _, err := client(t, conf, "{}").Digest(context.Background(), "a.example.org/app:1"); !errors.Is(err, images.ErrDenied) || !strings.Contains(err.Error(), "blocks") {
		t.Errorf("blocked: %v", err)
	}
}

func TestInsecureFallsBackToPlainHTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(good))
	defer plain.Close()
	host := plain.Listener.Addr().String()
	conf := "[[registry]]\nlocation = \"" + host + "\"\ninsecure = true\n"
	if got, err := client(t, conf, "{}").Digest(context.Background(), host+"/team/app:1"); err != nil || got != digest(manifest) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := client(t, "", "{}").Digest(context.Background(), host+"/team/app:1"); !errors.Is(err, images.ErrTLS) {
		t.Errorf("a secure registry without TLS: %v", err)
	}
}

func TestFailures(t *testing.T) {
	for status, want := range map[int]error{401: images.ErrDenied, 403: images.ErrDenied, 404: images.ErrNoManifest, 429: images.ErrThrottled, 500: images.ErrServer, 503: images.ErrServer} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if _, err := client(t, "", "{}", s).Digest(context.Background(), s.host+"/a:1"); !errors.Is(err, want) {
			t.Errorf("%d: %v", status, err)
		}
	}
	s := newServer(t, good)
	if _, err := client(t, "", "{}").Digest(context.Background(), s.host+"/team/app:1"); !errors.Is(err, images.ErrTLS) {
		t.Errorf("an unknown CA: %v", err)
	}
	if _, err := client(t, "", "{}").Digest(context.Background(), "127.0.0.1:1/a:1"); !errors.Is(err, images.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	big := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 5<<20)) })
	if _, err := client(t, "", "{}", big).Size(context.Background(), big.host+"/a:1", ""); !errors.Is(err, images.ErrCorrupt) {
		t.Errorf("a huge manifest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client(t, "", "{}", s).Digest(ctx, s.host+"/team/app:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestUserFiles(t *testing.T) {
	env := map[string]string{"XDG_RUNTIME_DIR": "/run/user/1", "REGISTRY_AUTH_FILE": "/env.json"}
	f := registry.UserFiles("/h", "/flag.json", func(k string) string { return env[k] })
	if want := []string{"/flag.json", "/env.json", "/run/user/1/containers/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json"}; !slices.Equal(f.Auth, want) {
		t.Errorf("%q", f.Auth)
	}
	env["CONTAINERS_REGISTRIES_CONF"] = "/only.conf"
	if f := registry.UserFiles("/h", "", func(k string) string { return env[k] }); !slices.Equal(f.RegistriesConf, []string{"/only.conf"}) {
		t.Errorf("%q", f.RegistriesConf)
	}
}
