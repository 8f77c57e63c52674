package full

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// TestH44_RegistriesOfTheHost: a check goes where the updater goes: mirrors and
// registries without TLS, by the host's registries.conf.
func TestH44_RegistriesOfTheHost(t *testing.T) {
	own := "sha256:" + strings.Repeat("a", 64)
	index := fmt.Sprintf(`{"manifests":[{"digest":%q,"platform":{"architecture":%q,"os":"linux"}}]}`, own, runtime.GOARCH)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/mirror/host/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			fmt.Fprint(w, index)
		case strings.HasPrefix(r.URL.Path, "/v2/secret/"):
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	here := strings.TrimPrefix(server.URL, "http://")
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/containers"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("[[registry]]\nlocation=%q\ninsecure=true\n[[registry]]\nprefix=\"quay.example/lab\"\nlocation=\"quay.example/lab\"\n[[registry.mirror]]\nlocation=%q\ninsecure=true\n", here, here+"/mirror")
	if err := os.WriteFile(filepath.Join(root, "etc/containers/registries.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	files := updaterFiles(root)
	named := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(index)))
	for _, c := range []struct {
		reference, digest, want string
		err                     error
	}{
		{"quay.example/lab/host:1", "sha256:" + strings.Repeat("b", 64), own, nil}, {"quay.example/lab/host:1", own, "", nil}, {"quay.example/lab/host:1", named, "", nil},
		{here + "/mirror/host:1", own, "", nil}, {here + "/nothing/host:1", own, "", osupdate.ErrNotFound}, {here + "/secret/host:1", own, "", osupdate.ErrPermission},
	} {
		got, err := newerBy(context.Background(), files, c.reference, c.digest)
		if got != c.want || !errors.Is(err, c.err) || err != nil && len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %q, %v", c.reference, got, err)
		}
	}
}
