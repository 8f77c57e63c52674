//go:build system

package images_test

import (
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
type registry struct {
	host    string // of the proxy
	private string // the same, for user alice with password s3cret only

	mu       sync.Mutex
	requests []string // paths
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
	r := &registry{}
	target := &url.URL{Scheme: "http", Host: backend}
	forward := &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}}
	forward.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.Header.Get("X-Slow") != "" {
			resp.Body = slow{resp.Body}
		}
		return nil
	}
	proxy := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req.URL.Path)
		r.mu.Unlock()
		space, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/")
		blob := strings.Contains(req.URL.Path, "/blobs/") && req.Method == http.MethodGet
		switch status, isStatus := strings.CutPrefix(space, "status"); {
		case isStatus:
			code, _ := strconv.Atoi(status)
			w.Header().Set("Retry-After", "1") // else podman waits a minute between its tries
			http.Error(w, `{"errors":[]}`, code)
			return
		case blob && space == "wrong":
			io.WriteString(w, "not what you asked for")
			return
		case blob && (space == "cut" || space == "stall"):
			w.Header().Set("Content-Length", "1000000")
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
			if space == "stall" {
				<-req.Context().Done()
			}
			panic(http.ErrAbortHandler)
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
		if user, password, _ := req.BasicAuth(); user != "alice" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	return r
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
