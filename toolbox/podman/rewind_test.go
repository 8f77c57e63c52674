//go:build remote

package podman

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type failingOnce struct{ failed bool }

func (f *failingOnce) RoundTrip(req *http.Request) (*http.Response, error) {
	if !f.failed {
		f.failed = true
		io.Copy(io.Discard, req.Body)
		return nil, errors.New("the service has just ended")
	}
	return http.DefaultTransport.RoundTrip(req)
}

// TestRewinding: a request that is sent again, as the bindings do it, has its body.
func TestRewinding(t *testing.T) {
	got := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got = string(data)
	}))
	defer server.Close()
	req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("a container"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: rewinding{&failingOnce{}}}
	if _, err := client.Do(req); err == nil {
		t.Fatal("it does not fail")
	}
	resp, err := client.Do(req)
	if err != nil || got != "a container" {
		t.Fatalf("%q, %v", got, err)
	}
	resp.Body.Close()
}
