package podman

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

func TestAuthHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	text := `{"auths": {"a.org": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("alice:s3:cret")) + `"}, "b.org/team": {}}, "credHelpers": {"b.org": "x"}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// What a helper holds of another registry is in nobody's way.
	header, err := authHeader(path, "a.org")
	if err != nil {
		t.Fatal(err)
	}
	data, err := base64.URLEncoding.DecodeString(header.Get("X-Registry-Config"))
	if err != nil {
		t.Fatal(err)
	}
	var sent map[string]struct{ Username, Password string }
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Collect(maps.Keys(sent)), []string{"a.org"}) || sent["a.org"].Username != "alice" || sent["a.org"].Password != "s3:cret" {
		t.Errorf("sent %s", data)
	}
	if _, err := authHeader(path, "b.org"); !errors.Is(err, fail.Usage) {
		t.Errorf("of the helper's registry: %v", err)
	}
}
