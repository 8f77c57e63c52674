package cincinnati

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits. The largest graph that is served, OpenShift's, has less than a megabyte.
const (
	maxGraph     = 8 << 20 // bytes, after decompression
	maxError     = 64 << 10
	maxRedirects = 3
	patience     = 30 * time.Second // for the whole answer
)

// Dialect is how a source is asked.
type Dialect string

// The dialects.
const (
	CoreOS    Dialect = "coreos"    // a server as Fedora CoreOS has it: /v1/graph
	OpenShift Dialect = "openshift" // as OpenShift has it: /api/upgrades_info/v1/graph
	File      Dialect = "file"      // one file, over http or by its path
)

// Dialects is every dialect.
func Dialects() []Dialect { return []Dialect{CoreOS, OpenShift, File} }

// Query is what a server is told of the host. Nothing of it is secret, and nothing names
// a person or a machine but Node, which only tells machines apart.
type Query struct {
	Architecture string // as Fedora writes it: x86_64, aarch64
	Stream       string // or OpenShift's channel
	Version      string
	Payload      string // what runs: a commit, or an image by its digest
	OCI          bool   // it is an image
	Group, Node  string
	Platform     string
	Wariness     float64 // below 0: the server decides
}

// Address is where the answer to q is, for a server at base.
func Address(base string, d Dialect, q Query) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("the address %q cannot be read: %w", base, errors.Unwrap(err))
	}
	if d == File {
		return base, nil
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("the address %q does not begin with http:// or https://", base)
	}
	v := u.Query()
	if d == OpenShift {
		u = u.JoinPath("api/upgrades_info/v1/graph")
		v.Set("channel", q.Stream)
		v.Set("arch", openShiftName(q.Architecture))
		v.Set("version", q.Version)
		u.RawQuery = v.Encode()
		return u.String(), nil
	}
	u = u.JoinPath("v1/graph")
	for key, value := range map[string]string{
		"basearch": q.Architecture, "stream": q.Stream, "os_version": q.Version, "os_checksum": q.Payload, "group": q.Group,
		"node_uuid": q.Node, "platform": q.Platform,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if q.OCI {
		v.Set("oci", "true")
	}
	if q.Wariness >= 0 {
		v.Set("rollout_wariness", strconv.FormatFloat(q.Wariness, 'f', 6, 64))
	}
	u.RawQuery = v.Encode()
	return u.String(), nil
}

// openShiftName is how OpenShift calls an architecture.
func openShiftName(arch string) string {
	if name, ok := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[arch]; ok {
		return name
	}
	return arch
}

// Refusal is a server's word that it does not answer.
type Refusal struct {
	Status int
	Kind   string // the server's; may be empty
	Value  string // a sentence of the server's; may be empty
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("it answers %d %s", r.Status, http.StatusText(r.Status))
	if r.Value != "" {
		text += ": " + short(r.Value)
	} else if r.Kind != "" {
		text += ": " + short(r.Kind)
	}
	return text
}

// Get reads the graph at an address of http or https, or at the path of a file. An answer
// that is no graph is ErrGraph, one of the server's a *Refusal, all others are of the
// network or the file. transport may be nil.
func Get(ctx context.Context, transport http.RoundTripper, where, architecture string) (*Graph, error) {
	var data []byte
	var err error
	if strings.HasPrefix(where, "/") {
		data, err = file(where)
	} else {
		data, err = fetch(ctx, transport, where)
	}
	if err != nil {
		return nil, err
	}
	return Parse(data, architecture)
}

// file reads a graph of this machine's, or of a directory that it shares.
func file(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrGraph, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f)
}

func limited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxGraph+1))
	if len(data) > maxGraph {
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrGraph, maxGraph>>20)
	}
	return data, err
}

func fetch(ctx context.Context, transport http.RoundTripper, where string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tbx")
	client := &http.Client{Transport: transport, CheckRedirect: sameHost}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp)
	case resp.Header.Get("Content-Encoding") != "": // gzip is gone by here
		return nil, fmt.Errorf("%w: it is encoded as %q, which was not asked for", ErrGraph, short(resp.Header.Get("Content-Encoding")))
	case resp.Header.Get("Content-Type") != "" && (err != nil || !believable(kind)):
		return nil, fmt.Errorf("%w: it is %q; another program may answer in its place", ErrGraph, short(resp.Header.Get("Content-Type")))
	}
	return limited(resp.Body)
}

// believable are the types that servers of plain files give to JSON.
func believable(kind string) bool {
	return strings.HasSuffix(kind, "+json") ||
		slices.Contains([]string{"application/json", "text/plain", "application/octet-stream", "binary/octet-stream"}, kind)
}

// sameHost follows a redirect on one host only, from http to https and never back: nobody
// is to be sent elsewhere by whoever answers first.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	case first.Scheme == "http" && req.URL.Scheme == "https" && req.URL.Hostname() == first.Hostname():
		return nil
	case req.URL.Host != first.Host || req.URL.Scheme != first.Scheme:
		return fmt.Errorf("it redirects to another host, %s://%s", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

// refusal reads what a server says of an error.
func refusal(resp *http.Response) error {
	r := &Refusal{Status: resp.StatusCode}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	var said struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}
	if err == nil && json.Unmarshal(data, &said) == nil {
		r.Kind, r.Value = said.Kind, said.Value
	}
	return r
}
