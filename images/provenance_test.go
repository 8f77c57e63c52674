package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The signer of before is found under the same name, however it was written, and
// also when the same image was signed anew.
func TestLastSigner(t *testing.T) {
	records := ProvenancesIn(t.TempDir())
	for _, rec := range []Provenance{
		{Image: "a", Reference: "registry.example.org/team/app", Origin: OriginPull, Signer: "alice"},
		{Image: "b", Reference: "registry.example.org/team/app:2", Origin: OriginPull, Signer: "bob"},
		{Image: "c", Reference: "registry.example.org/team/app:latest", Origin: OriginPull},
	} {
		if err := records.Save(rec); err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[string]string{
		"registry.example.org/team/app:latest": "alice",
		"registry.example.org/team/app":        "alice",
		"registry.example.org/team/app:2":      "bob",
		"registry.example.org/team/app:3":      "",
	} {
		parsed, err := ParseRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := records.lastSigner(parsed); got != want {
			t.Errorf("%s: signed by %q before, want %q", ref, got, want)
		}
	}
}

// What vouches for one image does not vouch for another under whose name it was
// copied, nor does a record from which the reason was cut.
func TestS10_RecordOfAnotherImage(t *testing.T) {
	for _, data := range []string{
		`{"image": "a", "origin": "bootstrap", "bootstrap": {"keyring": "/k.gpg"}}`,
		`{"image": "b", "origin": "bootstrap"}`,
		`{}`,
	} {
		records := ProvenancesIn(t.TempDir())
		if err := os.MkdirAll(records.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(records.dir, "b.json"), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if by, ok, err := (Trust{}).Vouched(records, Image{ID: "b"}, "registry.example.org/app:1"); ok || err == nil || !strings.Contains(err.Error(), "not the provenance of this image") {
			t.Errorf("%s: vouched for by %q, %v, %v", data, by, ok, err)
		}
	}
}
