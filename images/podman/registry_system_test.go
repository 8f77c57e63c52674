//go:build system

package podman_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// registry is a real docker-registry behind a proxy of ours, which speaks TLS
// and can be made to misbehave.
type registry struct {
	forward  http.Handler
	backend  string // where it listens itself, without TLS
	host     string // 127.0.0.1:PORT, as in references
	ca       []byte // PEM
	mu       sync.Mutex
	fault    http.HandlerFunc // answers instead of the registry, if set
	throttle func()           // called for each 32 KiB of a blob, if set
	requests []string         // METHOD path
}

const user, password = "alice", "s3cret"

// newRegistry starts one with its data in dir. login demands user and password.
func newRegistry(t *testing.T, m *machine, login bool) *registry {
	t.Helper()
	backend := freePort(t)
	m.write("registry.yml", "version: 0.1\nstorage: {filesystem: {rootdirectory: "+m.path("registry")+"}, delete: {enabled: true}}\nhttp: {addr: "+backend+"}\nlog: {level: error, accesslog: {disabled: true}}\n")
	m.start("docker-registry", "serve", m.path("registry.yml"))
	m.await(func() error {
		resp, err := http.Get("http://" + backend + "/v2/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})

	r := &registry{backend: backend}
	target := &url.URL{Scheme: "http", Host: backend}
	forward := &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0)}
	forward.Rewrite = func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Header.Set("X-Forwarded-Proto", "https") // for the addresses that it answers with
		p.Out.Host = p.In.Host
	}
	forward.ModifyResponse = func(resp *http.Response) error {
		r.mu.Lock()
		throttle := r.throttle
		r.mu.Unlock()
		if throttle != nil && resp.ContentLength > 1<<20 {
			resp.Body = &slowBody{resp.Body, throttle}
		}
		return nil
	}
	r.forward = forward
	certificate, ca := certificates(t)
	r.ca = ca
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	r.host = listener.Addr().String()
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		fault := r.fault
		r.requests = append(r.requests, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		if u, p, _ := req.BasicAuth(); login && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		if fault != nil {
			fault(w, req)
			return
		}
		forward.ServeHTTP(w, req)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	certs := m.path("home/.config/containers/certs.d/" + r.host)
	if err := os.MkdirAll(certs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(certs, "ca.crt"), ca, 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// set makes the registry misbehave; nil ends that.
func (r *registry) set(fault http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

// took gives the requests since the last call.
func (r *registry) took() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

type slowBody struct {
	io.ReadCloser
	wait func()
}

func (s *slowBody) Read(p []byte) (int, error) {
	s.wait()
	return s.ReadCloser.Read(p[:min(len(p), 32<<10)])
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certificates makes a CA and a certificate of it for 127.0.0.1.
func certificates(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tbx test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	must(err)
	var out bytes.Buffer
	must(pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, out.Bytes()
}
