package images_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// made by gpg, which calls it so
const keyID = "01945383DCF8DD8BF2192FB0B345A2D7DC40F91C"

const pemKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadKey(t *testing.T) {
	if kind, id, err := images.ReadKey(testdata(t, "key.asc")); kind != images.KeyGPG || id != keyID || err != nil {
		t.Errorf("%s %s %v", kind, id, err)
	}
	if kind, id, err := images.ReadKey([]byte(pemKey)); kind != images.KeySigstore || !strings.HasPrefix(id, "SHA256:") || err != nil {
		t.Errorf("%s %s %v", kind, id, err)
	}
	armored := string(testdata(t, "key.asc"))
	for _, data := range []string{armored + armored, strings.ReplaceAll(armored+armored, "\n", "\r\n"), pemKey + pemKey} {
		if _, _, err := images.ReadKey([]byte(data)); err == nil || !strings.Contains(err.Error(), "several keys") {
			t.Errorf("two keys one behind the other: %v", err)
		}
	}
	for what, data := range map[string]string{
		"several keys":  string(testdata(t, "two.gpg")),
		"private key":   "\x95\x00\x01\x04", // an OpenPGP packet of tag 5
		"not a public":  "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n",
		"a private key": "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
		"neither":       "hello",
		"is neither":    "",
		"its armor is":  strings.Replace(armored, "-----END", "", 1),
		"nor a PEM":     "\x99\x01\x0d\x04cut off",
	} {
		if _, _, err := images.ReadKey([]byte(data)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzReadKey(f *testing.F) {
	for _, name := range []string{"key.asc", "two.gpg"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, id, err := images.ReadKey(data); (id == "") != (err != nil) {
			t.Fatalf("id %q, error %v", id, err)
		}
	})
}

func TestTrust(t *testing.T) {
	admin, user := t.TempDir(), t.TempDir()
	key := testdata(t, "key.asc")
	asAdmin := images.Trust{Dir: admin}
	trust := images.Trust{Dir: user, Other: []string{admin, "/nowhere"}}
	if _, err := asAdmin.Add("quay.io", []byte(pemKey)); err != nil {
		t.Fatal(err)
	}
	if _, err := asAdmin.Add("quay.io/toolbx", []byte(pemKey)); err != nil {
		t.Fatal(err)
	}
	added, err := trust.Add("quay.io/toolbx", key) // over the administrator's
	if err != nil || added.ID != keyID {
		t.Fatalf("%+v, %v", added, err)
	}
	if again, err := trust.Add("quay.io/toolbx", key); err != nil || again.ID != keyID {
		t.Errorf("the same again: %v", err)
	}
	if _, err := trust.Add("quay.io/toolbx", []byte(pemKey)); !errors.Is(err, fail.Exists) {
		t.Errorf("another: %v", err)
	}
	for ref, want := range map[string]images.KeyKind{
		"quay.io/toolbx/arch-toolbox:latest": images.KeyGPG,
		"quay.io/toolbx:1":                   images.KeyGPG,
		"quay.io/toolbxx/a:1":                images.KeySigstore,
		"docker.io/library/debian:12":        "",
		"debian:12":                          "",
	} {
		parsed, err := images.ParseRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := trust.For(parsed); err != nil || got.Kind != want || ok != (want != "") {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	list, err := trust.List()
	var scopes []string
	for _, k := range list {
		scopes = append(scopes, k.Scope+" "+string(k.Kind))
	}
	if slices.Sort(scopes); err != nil || !slices.Equal(scopes, []string{"quay.io sigstore", "quay.io/toolbx gpg"}) {
		t.Errorf("list %q, %v", scopes, err)
	}
	if err := trust.Remove("quay.io/toolbx"); err != nil {
		t.Error(err)
	}
	if err := trust.Remove("quay.io/toolbx"); !errors.Is(err, fail.NotFound) {
		t.Errorf("twice: %v", err)
	}
	for _, scope := range []string{"", "debian", "quay.io/a:tag", "../../etc", "quay.io/../x", "/etc", "quay.io/a@sha256:" + hex64, "quay.io/"} {
		if _, err := trust.Add(scope, key); !errors.Is(err, fail.Usage) {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
}

// What podman is told: nothing but this repository, this key and this tag.
func TestS9_PolicyOfAVerifiedPull(t *testing.T) {
	trust := images.Trust{Dir: t.TempDir()}
	if _, err := trust.Add("r.org", testdata(t, "key.asc")); err != nil {
		t.Fatal(err)
	}
	store := &memory{names: map[string]string{}}
	reg := &answers{digest: map[string]string{"r.org/a:1": "sha256:" + hex64}}
	_, err := images.Fetcher{Store: store, Registry: reg, Trust: trust, StateDir: t.TempDir()}.PullVerified(context.Background(), "r.org/a:1", images.PullOptions{})
	if err != nil || store.names["r.org/a@sha256:"+hex64] == "" || store.names["r.org/a:1"] == "" {
		t.Fatalf("%v, store %v", err, store.names)
	}
	var got struct {
		Default    []map[string]string
		Transports map[string]map[string][]struct {
			Type, KeyType, KeyPath string
			SignedIdentity         map[string]string
		}
	}
	if err := json.Unmarshal(store.policy, &got); err != nil {
		t.Fatal(err)
	}
	rule := got.Transports["docker"]["r.org/a"]
	if len(got.Default) != 1 || got.Default[0]["type"] != "reject" || len(got.Transports) != 1 || len(got.Transports["docker"]) != 1 ||
		len(rule) != 1 || rule[0].Type != "signedBy" || rule[0].KeyType != "GPGKeys" || rule[0].KeyPath != filepath.Join(trust.Dir, "r.org/key.gpg") ||
		rule[0].SignedIdentity["dockerReference"] != "r.org/a:1" {
		t.Errorf("policy %s", store.policy)
	}
	// Without an answer about the digest nothing is pulled.
	store.calls = nil
	if _, err := (images.Fetcher{Store: store, Registry: &answers{}, Trust: trust, StateDir: t.TempDir()}).PullVerified(context.Background(), "r.org/a:2", images.PullOptions{}); !errors.Is(err, images.ErrUnreachable) || store.calls != nil {
		t.Errorf("%v, did %q", err, store.calls)
	}
}
