//go:build system

package images_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// registry is a real docker-registry behind a proxy of ours. The proxy
// misbehaves for some namespaces, and serves there what was pushed as team/…:
//
//	status403/ (or another)   answers with that
//	slow/                     sends blobs at 400 kB/s
//	cut/                      closes the connection in the middle of a blob
//	wrong/                    sends another blob than was asked for
//	stall/                    stops sending in the middle of a blob
//	huge/                     has images of a petabyte
//	layers/                   has images of 100000 layers
//	once500/, oncecut/        fails so for the first request of each blob, and never again
type registry struct {
	host    string // of the proxy
	private string // the same, for user alice with password s3cret only
	token   string // the same, by a token that alice gets for her password
	secure  string // the same as host, with TLS
	ca      []byte // who signed its certificate, PEM
	proxy   string // an HTTP proxy that leads every name to host

	mu       sync.Mutex
	requests []string // paths
	proxied  int
	failed   map[string]bool // paths that failed once
}

func newRegistry(t *testing.T, root string) *registry {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := l.Addr().String()
	l.Close()
	conf := filepath.Join(root, "registry.yml")
	text := "version: 0.1\nstorage: {filesystem: {rootdirectory: " + root + "/registry}}\nhttp: {addr: " + backend + "}\nlog: {level: error, accesslog: {disabled: true}}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker-registry", "serve", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 600 {
		if c, err := net.Dial("tcp", backend); err == nil {
			c.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	r := &registry{failed: map[string]bool{}}
	target := &url.URL{Scheme: "http", Host: backend}
	forward := &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}}
	forward.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.Header.Get("X-Slow") != "" {
			resp.Body = slow{resp.Body}
		}
		if resp.Request.Header.Get("X-Cut") != "" {
			resp.Body = &cut{resp.Body, 1000}
		}
		return nil
	}
	proxy := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req.URL.Path)
		r.mu.Unlock()
		space, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/")
		blob := strings.Contains(req.URL.Path, "/blobs/") && req.Method == http.MethodGet
		if fault, once := strings.CutPrefix(space, "once"); once {
			space = "team"
			if blob && r.first(req.URL.Path) {
				space = strings.Replace(fault, "500", "status500", 1)
			}
			req.URL.Path = "/v2/team/" + rest
		}
		switch status, isStatus := strings.CutPrefix(space, "status"); {
		case isStatus:
			code, _ := strconv.Atoi(status)
			w.Header().Set("Retry-After", "1") // else podman waits a minute between its tries
			http.Error(w, `{"errors":[]}`, code)
			return
		case space == "layers":
			const layer = `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":32,"digest":"sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1"},`
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			io.WriteString(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":`+strings.TrimSuffix(layer, ",")+`,"layers":[`+strings.TrimSuffix(strings.Repeat(layer, 100_000), ",")+`]}`)
			return
		case space == "huge":
			io.WriteString(w, `{"config":{"size":1},"layers":[{"size":1000000000000000}]}`)
			return
		case blob && space == "wrong":
			io.WriteString(w, "not what you asked for")
			return
		case blob && space == "stall":
			w.Header().Set("Content-Length", "1000000")
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
			<-req.Context().Done()
			panic(http.ErrAbortHandler)
		case blob && space == "cut":
			req.Header.Set("X-Cut", "1")
		case blob && space == "slow":
			req.Header.Set("X-Slow", "1")
		}
		switch space {
		case "slow", "wrong", "cut", "stall":
			req.URL.Path = "/v2/team/" + rest
		}
		forward.ServeHTTP(w, req)
	})
	r.host = serve(t, proxy)
	r.private = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !alice(req) {
			unauthorized(w, `Basic realm="test"`)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	r.token = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/token" && alice(req):
			io.WriteString(w, `{"token":"T0ken"}`)
		case req.URL.Path == "/token" || req.Header.Get("Authorization") != "Bearer T0ken":
			unauthorized(w, `Bearer realm="http://`+r.token+`/token",service="test"`)
		default:
			proxy.ServeHTTP(w, req)
		}
	}))
	secure := httptest.NewUnstartedServer(proxy)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	r.secure = secure.Listener.Addr().String()
	r.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	r.proxy = "http://" + serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodConnect { // podman tries TLS first
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		r.mu.Lock()
		r.proxied++
		r.mu.Unlock()
		proxy.ServeHTTP(w, req)
	}))
	return r
}

func alice(req *http.Request) bool {
	user, password, _ := req.BasicAuth()
	return user == "alice" && password == "s3cret"
}

func unauthorized(w http.ResponseWriter, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
}

// first tells whether it is asked for that path for the first time.
func (r *registry) first(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.failed[path] = true }()
	return !r.failed[path]
}

// viaProxy is the command "viaproxy": since the last call, a request came through
// the HTTP proxy.
func (r *registry) viaProxy(ts *testscript.TestScript, neg bool, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (r.proxied > 0) == neg || len(args) > 0 {
		ts.Fatalf("%d requests", r.proxied)
	}
	r.proxied = 0
}

// serve serves until the test ends, and gives the address.
func serve(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// asked is the command "asked REPOSITORY": since the last call with it, somebody
// asked the registry about that repository.
func (r *registry) asked(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: asked REPOSITORY")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var others, these []string
	for _, path := range r.requests {
		if strings.HasPrefix(path, "/v2/"+args[0]+"/") {
			these = append(these, path)
		} else {
			others = append(others, path)
		}
	}
	r.requests = others
	if (len(these) > 0) == neg {
		ts.Fatalf("requests: %q", these)
	}
}

type slow struct{ io.ReadCloser }

// Read implements io.Reader.
func (s slow) Read(p []byte) (int, error) {
	time.Sleep(50 * time.Millisecond)
	return s.ReadCloser.Read(p[:min(len(p), 20<<10)])
}

// cut ends in the middle. What it gave is the true beginning: podman 5 goes on from
// there.
type cut struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (c *cut) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
