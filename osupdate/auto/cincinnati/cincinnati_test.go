package cincinnati_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/cincinnati"
)

func parse(t *testing.T, text string) *cincinnati.Graph {
	t.Helper()
	g, err := cincinnati.Parse([]byte(text), "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// target is where the host goes from a version, or "".
func target(g *cincinnati.Graph, version string, o cincinnati.Options) string {
	if a := g.Next(cincinnati.Here{Version: version, IDs: []string{"p" + version}}, o); a.Target != nil {
		return a.Target.Version
	}
	return ""
}

// TestCoreOS walks the three real streams of Fedora CoreOS: from the first release on,
// every barrier is run, in its order, no dead end is, and the end is the newest.
func TestCoreOS(t *testing.T) {
	for _, stream := range []string{"stable", "testing", "next"} {
		data, err := os.ReadFile("testdata/" + stream + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Releases []struct {
				Version  string
				Metadata struct{ Barrier, DeadEnd, Rollout map[string]any }
			}
		}
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		g := parse(t, string(data))
		var want []string // the first, every barrier, the last
		for i, r := range list.Releases {
			if r.Metadata.DeadEnd == nil && (want == nil || r.Metadata.Barrier != nil || i == len(list.Releases)-1) {
				want = append(want, r.Version)
			}
			if o := (cincinnati.Options{}); r.Metadata.DeadEnd != nil && target(g, r.Version, o) != "" {
				t.Errorf("%s: a way leads out of the dead end %s", stream, r.Version)
			}
		}
		// Long after every roll-out has ended.
		o := cincinnati.Options{Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Wariness: 1}
		got := want[:1:1]
		for next := target(g, got[0], o); next != "" && len(got) < 100; next = target(g, next, o) {
			got = append(got, next)
		}
		if len(want) < 10 || !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", stream, got, want)
		}
	}
}

// TestF62_RollOut: testing's newest began on 22 July 2026 at 14:00 UTC, from nothing, for two
// days; the one before it is there for everybody.
func TestF62_RollOut(t *testing.T) {
	data, err := os.ReadFile("testdata/testing.json")
	if err != nil {
		t.Fatal(err)
	}
	g := parse(t, string(data))
	start := time.Unix(1784728800, 0)
	for _, c := range []struct {
		at       time.Time
		wariness float64
		want     string
	}{
		{start.Add(-time.Hour), 0, "44.20260720.2.1"}, // the most eager takes what is to come
		{start.Add(-time.Hour), 0.001, "44.20260707.2.1"},
		{start.Add(12 * time.Hour), 0.24, "44.20260720.2.1"},
		{start.Add(12 * time.Hour), 0.26, "44.20260707.2.1"},
		{start.Add(48 * time.Hour), 1, "44.20260720.2.1"},
		{time.Unix(0, 0), 0.5, "44.20260707.2.1"}, // a clock that was never set
	} {
		if got := target(g, "43.20260413.2.1", cincinnati.Options{Now: c.at, Wariness: c.wariness}); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.at, c.wariness, got, c.want)
		}
	}
}

// TestF62_WhatIsNotTaken: loops, dead ends, barriers that the edges forget, what is older, denied or
// advised against.
func TestF62_WhatIsNotTaken(t *testing.T) {
	node := func(v string, meta string) string {
		return fmt.Sprintf(`{"version":%q,"payload":"p%s","metadata":{%s}}`, v, v, meta)
	}
	up := `"org.fedoraproject.coreos.updates.`
	for name, c := range map[string]struct {
		nodes, edges, more, want string
		denied                   string
		note                     string
	}{
		"newest":         {nodes: node("1", "") + "," + node("2", "") + "," + node("10", ""), edges: "[0,1],[0,2]", want: "10"},
		"twice":          {nodes: node("1", "") + "," + node("2", ""), edges: "[0,1],[0,1],[0,1]", want: "2"},
		"loop":           {nodes: node("1", "") + "," + node("0.9", ""), edges: "[0,1],[1,0],[0,0]"},
		"older by age":   {nodes: node("1", `"org.fedoraproject.coreos.releases.age_index":"9"`) + "," + node("2", `"org.fedoraproject.coreos.releases.age_index":"8"`), edges: "[0,1]"},
		"only its edges": {nodes: node("1", "") + "," + node("2", "") + "," + node("3", ""), edges: "[0,1],[1,2]", want: "2"},
		"barrier":        {nodes: node("1", "") + "," + node("2", up+`barrier":"true"`) + "," + node("3", ""), edges: "[0,1],[0,2]", want: "2"},
		"on a barrier":   {nodes: node("1", up+`barrier":"true"`) + "," + node("3", ""), edges: "[0,1]", want: "3"},
		"into a dead end": {nodes: node("1", "") + "," + node("2", "") + "," + node("3", up+`deadend":"true"`), edges: "[0,1],[0,2]",
			want: "2"},
		"from a dead end": {nodes: node("1", up+`deadend":"true",`+up+`deadend_reason":"see 7"`) + "," + node("2", ""), edges: "[0,1]",
			note: "1, which runs, is a dead end: see 7"},
		"denied":      {nodes: node("1", "") + "," + node("2", "") + "," + node("3", ""), edges: "[0,1],[0,2]", denied: "3", want: "2"},
		"unknown":     {nodes: node("7", ""), note: "the graph does not know the release that runs, 1"},
		"same number": {nodes: node("1", "") + `,{"version":"1","payload":"other"}`, edges: "[0,1]"},
		"risk": {nodes: node("1", "") + "," + node("2", "") + "," + node("3", ""), edges: "[0,1]", want: "2",
			more: `,"conditionalEdges":[{"edges":[{"from":"1","to":"3"}],"risks":[{"name":"SlowDisks","message":"it waits","url":"https://x.example"}]}]`,
			note: "3 is advised against from here: SlowDisks: it waits https://x.example"},
		"risk and edge": {nodes: node("1", "") + "," + node("3", ""), edges: "[0,1]",
			more: `,"conditionalEdges":[{"edges":[{"from":"1","to":"3"}],"risks":[]}]`, note: "3 is advised against from here: its makers do not say which"},
		"candidate": {nodes: node("1.0.0-rc.2", "") + "," + node("1.0.0-rc.10", ""), edges: "[0,1]", note: "the graph does not know the release that runs, 1"},
	} {
		g := parse(t, `{"nodes":[`+c.nodes+`],"edges":[`+c.edges+`]`+c.more+`}`)
		o := cincinnati.Options{Denied: func(n *cincinnati.Node) bool { return n.Version == c.denied }}
		a := g.Next(cincinnati.Here{Version: "1", IDs: []string{"p1"}}, o)
		got := ""
		if a.Target != nil {
			got = a.Target.Version
		}
		if got != c.want || strings.Join(a.Notes, "; ") != c.note {
			t.Errorf("%s: %q and %q, want %q and %q", name, got, a.Notes, c.want, c.note)
		}
	}
	g := parse(t, `{"nodes":[`+node("1.0.0-rc.2", "")+","+node("1.0.0-rc.10", "")+","+node("1.0.0", "")+`],"edges":[[0,1],[1,2],[2,0]]}`)
	if a, b, c := target(g, "1.0.0-rc.2", cincinnati.Options{}), target(g, "1.0.0-rc.10", cincinnati.Options{}),
		target(g, "1.0.0", cincinnati.Options{}); a != "1.0.0-rc.10" || b != "1.0.0" || c != "" {
		t.Errorf("%q, %q, %q", a, b, c)
	}
}

// TestImages: an image is known by the digest for this machine, or by the version where the
// graph has the one for all; a commit by itself alone.
func TestImages(t *testing.T) {
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	g := parse(t, `{"nodes":[{"version":"1","payload":"quay.example:5000/os/base@`+one+`","metadata":{"org.fedoraproject.coreos.scheme":"oci"}},
		{"version":"2","payload":"quay.example:5000/os/base:stable@`+two+`"}],"edges":[[0,1]]}`)
	for _, here := range []cincinnati.Here{{IDs: []string{one}}, {Version: "1", IDs: []string{"sha256:other"}}} {
		a := g.Next(here, cincinnati.Options{})
		if a.Target == nil || a.Target.Digest() != two || a.Target.Repository() != "quay.example:5000/os/base" {
			t.Errorf("%+v: %+v", here, a)
		}
	}
	commits := parse(t, `{"nodes":[{"version":"1","payload":"aa","metadata":{"org.fedoraproject.coreos.scheme":"checksum"}},{"version":"2","payload":"bb"}],
		"edges":[[0,1]]}`)
	if a := commits.Next(cincinnati.Here{Version: "1", IDs: []string{"built here"}}, cincinnati.Options{}); a.Here != nil {
		t.Errorf("another commit of that version is taken for it: %+v", a)
	}
	list := parse(t, `{"stream":"stable","releases":[
		{"version":"1","metadata":"https://builds.example/1.json","commits":[{"architecture":"aarch64","checksum":"aa"},{"architecture":"x86_64","checksum":"bb"}]},
		{"version":"2","oci-images":[{"architecture":"x86_64","image":"quay.example/os","digest-ref":"quay.example/os@`+two+`"}]}]}`)
	if a := list.Next(cincinnati.Here{IDs: []string{"bb"}}, cincinnati.Options{Wariness: 1}); a.Target == nil || a.Target.Digest() != two {
		t.Errorf("%+v", a)
	}
}

// TestF60_Graphs that cannot be: none is believed in part.
func TestF60_Graphs(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "page": "<html>", "null": "null", "list": "[]", "word": `"graph"`, "nothing": "{}", "both": `{"nodes":[],"releases":[]}`,
		"cut": `{"nodes":[{"version":"1"`, "number": `{"nodes":[{"version":1}]}`, "metadata": `{"nodes":[{"version":"1","metadata":{"a":true}}]}`,
		"edges": `{"nodes":[{"version":"1"}],"edges":[["0","1"]]}`, "unknown node": `{"nodes":[{"version":"1"}],"edges":[[0,1]]}`,
		"negative": `{"nodes":[{"version":"1"}],"edges":[[-1,0]]}`, "one end": `{"nodes":[{"version":"1"}],"edges":[[0]]}`,
		"huge index": `{"nodes":[{"version":"1"}],"edges":[[0,99999999999999999999]]}`, "no version": `{"nodes":[{"payload":"a"}]}`,
		"twice": `{"nodes":[{"version":"1","payload":"a"},{"version":"2","payload":"a"}]}`, "named twice": `{"nodes":[{"version":"1"},{"version":"1"}]}`,
		"age": `{"nodes":[{"version":"1","metadata":{"org.fedoraproject.coreos.releases.age_index":"young"}}]}`, "deep": strings.Repeat("[", 100000),
		"two values": `{"nodes":[]} {"nodes":[]}`, "rollout": `{"releases":[{"version":"1","metadata":{"rollout":{"start_epoch":"soon"}}}]}`,
	} {
		if g, err := cincinnati.Parse([]byte(text), "x86_64"); !errors.Is(err, cincinnati.ErrGraph) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
	if g := parse(t, `{"nodes":[],"edges":[]}`); g.Nodes() != 0 {
		t.Error("an empty graph is one")
	}
}

// TestF61_Servers that lie, stall or send elsewhere.
func TestF61_Servers(t *testing.T) {
	good := `{"nodes":[{"version":"1"}],"edges":[]}`
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(good)) }))
	defer other.Close()
	stop := make(chan struct{})
	big := strings.Repeat("a", 1<<20)
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"/good": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Write([]byte(good))
		},
		"/plain": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte(good))
		},
		"/here": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) },
		"/page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(good))
		},
		"/elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"/round":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) },
		"/brotli": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte(good))
		},
		"/bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb(t))
		},
		"/large": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"nodes":[{"version":"1","payload":"`))
			for range 50 {
				w.Write([]byte(big))
			}
			w.Write([]byte(`"}]}`))
		},
		"/cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(good))
		},
		"/endless": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(good))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		},
		"/no": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"kind":"missing_params","value":"no stream"}`))
		},
		"/down": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>down", http.StatusServiceUnavailable)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w, r) }))
	defer server.Close()
	defer close(stop)
	for path, want := range map[string]string{
		"/good": "", "/plain": "", "/here": "", "/page": "another program may answer", "/elsewhere": "redirects to another host", "/round": "more than 3 times",
		"/brotli": "not asked for", "/bomb": "larger than 8 MiB", "/large": "larger than 8 MiB", "/cut": "unexpected EOF",
		"/no": "400 Bad Request: no stream", "/down": "503 Service Unavailable",
	} {
		_, err := cincinnati.Get(t.Context(), nil, server.URL+path, "x86_64")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		var r *cincinnati.Refusal
		if refused := errors.As(err, &r); refused != (path == "/no" || path == "/down") {
			t.Errorf("%s: a refusal: %v", path, refused)
		}
	}
	impatient := &http.Transport{ResponseHeaderTimeout: time.Second}
	defer impatient.CloseIdleConnections()
	ctx, cancel := contextWith(t, 300*time.Millisecond)
	defer cancel()
	if _, err := cincinnati.Get(ctx, impatient, server.URL+"/endless", "x86_64"); err == nil {
		t.Error("an endless body is an answer")
	}
}

func TestF61_Files(t *testing.T) {
	dir := t.TempDir()
	fifo, large, good := dir+"/fifo", dir+"/large", dir+"/good"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, 1<<40),
		os.WriteFile(good, []byte(`{"releases":[{"version":"1"}]}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{fifo: "no regular file", dir: "no regular file", large: "larger than", dir + "/none": "no such file", good: ""} {
		_, err := cincinnati.Get(t.Context(), nil, path, "x86_64")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAddress(t *testing.T) {
	q := cincinnati.Query{Architecture: "x86_64", Stream: "stable", Version: "44.1", Payload: "q.example/os@sha256:1", OCI: true, Group: "web", Node: "n",
		Platform: "metal", Wariness: 0.25}
	for _, c := range []struct {
		base    string
		dialect cincinnati.Dialect
		want    string
	}{
		{"https://u.example", cincinnati.CoreOS, "https://u.example/v1/graph?basearch=x86_64&group=web&node_uuid=n&oci=true&os_checksum=q.example%2Fos%40sha256%3A1" +
			"&os_version=44.1&platform=metal&rollout_wariness=0.250000&stream=stable"},
		{"http://u.example/a/?x=1", cincinnati.OpenShift, "http://u.example/a/api/upgrades_info/v1/graph?arch=amd64&channel=stable&version=44.1&x=1"},
		{"/srv/graph.json", cincinnati.File, "/srv/graph.json"},
		{"ftp://u.example", cincinnati.CoreOS, ""}, {"u.example", cincinnati.CoreOS, ""}, {"https://", cincinnati.CoreOS, ""}, {"http://[::1", cincinnati.CoreOS, ""},
	} {
		got, err := cincinnati.Address(c.base, c.dialect, q)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s, %v", c.base, got, err)
		}
	}
	q.Wariness, q.OCI, q.Payload = -1, false, ""
	got, err := cincinnati.Address("https://u.example", cincinnati.CoreOS, q)
	if u, perr := url.Parse(got); err != nil || perr != nil || u.Query().Has("rollout_wariness") || u.Query().Has("oci") || u.Query().Has("os_checksum") {
		t.Errorf("%s, %v, %v", got, err, perr)
	}
}
