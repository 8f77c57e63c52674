package images

import (
	"os"
	"testing"
)

const evilKey = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"

// trustOf makes a trust with a key for each scope and returns the keys' IDs.
func trustOf(t *testing.T, scopes map[string]string) (Trust, map[string]string) {
	t.Helper()
	trust, ids := Trust{Dir: t.TempDir()}, map[string]string{}
	for scope, text := range scopes {
		key, err := trust.Add(scope, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		ids[scope] = key.ID
	}
	return trust, ids
}

// What the key of one scope has signed is not signed by another scope's, whatever
// name the image gets here; nor is one tag another, nor a signature of before the
// one of a key of today.
func TestS10_KeyOfAnotherScope(t *testing.T) {
	good, err := os.ReadFile("testdata/key.asc")
	if err != nil {
		t.Fatal(err)
	}
	trust, ids := trustOf(t, map[string]string{"good.example": string(good), "evil.example": evilKey})
	records := ProvenancesIn(t.TempDir())
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const digest = "sha256:" + id
	img := Image{ID: id}
	rec := Provenance{Image: id, Reference: "evil.example/x:1", Origin: OriginPull, Digest: digest}
	rec.sign(Signed{rec.Reference, digest, ids["evil.example"]})
	for _, legacy := range []bool{false, true} {
		if legacy {
			rec.Signed = nil
		}
		if err := records.Save(rec); err != nil {
			t.Fatal(err)
		}
		for asked, want := range map[string]bool{
			"evil.example/x:1": true, "evil.example/x@" + digest: true, id: true, id[:12]: true,
			"evil.example/x": false, "evil.example/x:2": false, "evil.example/y:1": false,
			"good.example/team/base:1": false, "good.example/x:1": false, "good.example/x@" + digest: false,
			"other.example/x:1": false, "x:1": false, "localhost/x:1": false, "localhost/tbx/debian:12": false,
			"evil.example/x@sha256:" + "f" + id[1:]: false,
		} {
			if by, ok, err := trust.Vouched(records, img, asked); err != nil || ok != want {
				t.Errorf("asked for as %s (record of an earlier tbx: %v): vouched for by %q, %v, %v", asked, legacy, by, ok, err)
			}
		}
	}
	// The same image, verified under the good name too, is both.
	rec, _, _ = records.Load(id)
	rec.sign(Signed{"good.example/team/base:1", digest, ids["good.example"]})
	if err := records.Save(rec); err != nil {
		t.Fatal(err)
	}
	for _, asked := range []string{"good.example/team/base:1", "evil.example/x:1"} {
		if _, ok, err := trust.Vouched(records, img, asked); !ok || err != nil {
			t.Errorf("%s: %v, %v", asked, ok, err)
		}
	}
	if err := trust.Remove("evil.example"); err != nil {
		t.Fatal(err)
	}
	if by, ok, err := trust.Vouched(records, img, "evil.example/x:1"); ok || err != nil {
		t.Errorf("vouched for by the key %s, which was removed, %v", by, err)
	}
}

// A record of a bootstrap vouches for the name that a bootstrap gives, with a keyring
// that tbx would use for it, and for nothing else.
func TestS10_BootstrapOfAnotherName(t *testing.T) {
	cat, err := LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Dir: t.TempDir(), Keyrings: cat.KeyringsOf}
	records := ProvenancesIn(t.TempDir())
	const id, own, keyring = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "localhost/tbx/debian:12", "/usr/share/keyrings/debian-archive-keyring.gpg"
	for _, test := range []struct {
		reference, keyring, asked string
		want                      bool
	}{
		{own, keyring, own, true},
		{own, keyring, id, true},
		{own, "/nowhere", own, false},
		{own, "/nowhere", id, false},
		{own, "/usr/share/keyrings/ubuntu-archive-keyring.gpg", own, false},
		{own, keyring, "localhost/tbx/debian:13", false},
		{own, keyring, "localhost/tbx/ubuntu:24.04", false},
		{own, keyring, "good.example/team/base:1", false},
		{own, keyring, "docker.io/library/debian:12", false},
		{"good.example/team/base:1", keyring, "good.example/team/base:1", false},
		{"localhost/mine:1", keyring, "localhost/mine:1", false},
		{"localhost/tbx/debian:none", keyring, "localhost/tbx/debian:none", false},
	} {
		if err := records.Save(Provenance{Image: id, Reference: test.reference, Origin: OriginBootstrap, Bootstrap: &Bootstrapped{Keyring: test.keyring}}); err != nil {
			t.Fatal(err)
		}
		if by, ok, err := trust.Vouched(records, Image{ID: id}, test.asked); ok != test.want || err != nil {
			t.Errorf("%+v: vouched for by %q, %v, %v", test, by, ok, err)
		}
	}
}
