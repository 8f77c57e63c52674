package images

import "testing"

// The signer of before is found under the same name, however it was written, and
// also when the same image was signed anew.
func TestLastSigner(t *testing.T) {
	records := RecordsIn(t.TempDir())
	for _, rec := range []Record{
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
