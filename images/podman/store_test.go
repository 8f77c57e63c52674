package podman_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/internal/fail"
)

// replay is a service that answers "METHOD path" with what real podman said,
// kept in testdata/VERSION.
func replay(t *testing.T, answers map[string]http.HandlerFunc) *podman.Store {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			w.Header().Set("Libpod-API-Version", "4.3.1")
			return
		}
		handler := answers[r.Method+" "+r.URL.Path]
		if handler == nil {
			t.Errorf("unexpected %s %s", r.Method, r.URL)
			http.NotFound(w, r)
			return
		}
		handler(w, r)
	})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return podman.New(client(socket))
}

func recorded(t *testing.T, status int, file string) http.HandlerFunc {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/4.3.1", file))
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write(data)
	}
}

const pullPath = "POST /v1.40/images/create"

func TestPullReportsBytes(t *testing.T) {
	store := replay(t, map[string]http.HandlerFunc{
		pullPath: recorded(t, 200, "pull-throttled.jsonl"),
		"GET /v4.0.0/libpod/images/127.0.0.1:5082/debian:12/json": recorded(t, 200, "inspect.json"),
	})
	var got []images.Event
	img, err := store.Pull(context.Background(), "127.0.0.1:5082/debian:12", images.PullOptions{}, func(e images.Event) { got = append(got, e) })
	if err != nil || !strings.HasPrefix(img.ID, "d6a1821ab2fd") || img.Size == 0 || img.Arch != "amd64" || img.Created.IsZero() {
		t.Fatalf("%+v, %v", img, err)
	}
	// Bytes of the layer until half a second's worth is left, then unpacking, and its end.
	var stages []images.Stage
	most := int64(0)
	for _, e := range got {
		if len(stages) == 0 || stages[len(stages)-1] != e.Stage {
			stages = append(stages, e.Stage)
		}
		if e.Layer == "3f3204e7dac9" && e.Total == 71413406 {
			if e.Done <= most {
				t.Errorf("%d bytes after %d", e.Done, most)
			}
			most = e.Done
		}
	}
	want := []images.Stage{images.StageConnect, images.StageDownload, images.StageUnpack, images.StageDownload, images.StageUnpack}
	if most != 71413406 || !slices.Equal(stages, want) {
		t.Errorf("the last count of bytes is %d, the stages are %q, in %+v", most, stages, got)
	}
}

func TestPullStalls(t *testing.T) {
	store := replay(t, map[string]http.HandlerFunc{pullPath: func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"status":"Pulling fs layer","progressDetail":{},"id":"3f3204e7dac9"}` + "\n"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}})
	_, err := store.Pull(context.Background(), "example.org/a:1", images.PullOptions{Quiet: 1}, nil)
	if !errors.Is(err, images.ErrStalled) {
		t.Errorf("error %v", err)
	}
}

func TestPullFailures(t *testing.T) {
	for file, want := range map[string]error{
		"pull-missing.jsonl":     images.ErrNoManifest,
		"pull-unreachable.jsonl": images.ErrUnreachable,
		"pull-http.jsonl":        images.ErrTLS,
	} {
		store := replay(t, map[string]http.HandlerFunc{pullPath: recorded(t, 200, file)})
		_, err := store.Pull(context.Background(), "127.0.0.1:5081/nope:12", images.PullOptions{}, nil)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", file, err, want)
		}
	}
}

func TestInspectMissing(t *testing.T) {
	store := replay(t, map[string]http.HandlerFunc{"GET /v4.0.0/libpod/images/nope:1/json": recorded(t, 404, "inspect-missing.json")})
	if _, err := store.Inspect(context.Background(), "nope:1"); !errors.Is(err, fail.NotFound) {
		t.Errorf("error %v", err)
	}
}

// The reader's error must reach podman as a broken body, not as its end.
func TestImportOfABrokenTar(t *testing.T) {
	broken := make(chan error, 1)
	store := replay(t, map[string]http.HandlerFunc{"POST /v4.0.0/libpod/images/import": func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 10)
		var err error
		for err == nil {
			_, err = r.Body.Read(buf)
		}
		broken <- err
	}})
	cause := errors.New("the tool failed")
	_, err := store.Import(context.Background(), &failingReader{cause}, "localhost/x:1", nil)
	if !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if err := <-broken; err == nil || err.Error() == "EOF" {
		t.Errorf("podman saw %v", err)
	}
}

type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }
