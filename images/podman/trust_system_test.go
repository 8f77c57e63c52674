//go:build system

package podman_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	imageregistry "github.com/tbx-project/tbx/images/registry"
	"github.com/tbx-project/tbx/internal/fail"
)

// trusting is a machine that demands signatures.
type trusting struct {
	*machine
	r     *registry
	opts  images.EnsureOptions
	trust images.Trust
	seen  events
}

func newTrusting(t *testing.T) *trusting {
	m := newMachine(t, "")
	r := newRegistry(t, m, false)
	client, err := imageregistry.New(imageregistry.UserFiles(m.path("home"), "", func(string) string { return "" }))
	if err != nil {
		t.Fatal(err)
	}
	x := &trusting{machine: m, r: r, trust: images.Trust{Dir: m.path("keys")}}
	x.opts = images.EnsureOptions{
		Registry: client, Trust: &x.trust, Progress: x.seen.add,
		Ask:       func(images.Question) (bool, error) { return true, nil },
		Bootstrap: images.BootstrapOptions{StateDir: m.path("state")},
	}
	for _, dir := range []string{"state", "sigs", "home/.config/containers/registries.d", "gpg"} {
		if err := os.MkdirAll(m.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write("home/.config/containers/registries.d/test.yaml", "default-docker:\n  lookaside: file://"+m.path("sigs")+
		"\n  lookaside-staging: file://"+m.path("sigs")+"\n  sigstore: file://"+m.path("sigs")+"\n  sigstore-staging: file://"+m.path("sigs")+
		"\n  use-sigstore-attachments: true\n")
	t.Setenv("GNUPGHOME", m.path("gpg"))
	t.Cleanup(func() { m.run("gpgconf", "--kill", "all") })
	return x
}

// image pushes an image of that content, signed by a GPG user unless by is "".
func (x *trusting) image(content, by string, flags ...string) (ref string) {
	x.t.Helper()
	ref = x.r.host + "/team/app:1"
	x.write("content", content)
	x.run("tar", "-C", x.dir, "-cf", x.path("app.tar"), "content")
	x.run("podman", "import", "--quiet", x.path("app.tar"), "localhost/app")
	args := append(append([]string{"push", "--quiet"}, flags...), "localhost/app", ref)
	if by != "" {
		args = append(args, "--sign-by", by)
	}
	x.run("podman", args...)
	x.run("podman", "rmi", "--force", "localhost/app")
	return ref
}

// signer makes a GPG key and gives its public part.
func (x *trusting) signer(name string) []byte {
	x.t.Helper()
	x.run("gpg", "--quiet", "--batch", "--passphrase", "", "--quick-gen-key", name, "rsa2048", "sign", "never")
	return []byte(x.run("gpg", "--quiet", "--armor", "--export", name))
}

func (x *trusting) ensure(ref string, policy images.PullPolicy) (images.Image, error) {
	opts := x.opts
	opts.Policy = policy
	return images.Ensure(context.Background(), x.store, images.Choice{Reference: ref}, opts)
}

func TestS9_SignedByGPG(t *testing.T) {
	x := newTrusting(t)
	alice, mallory := x.signer("alice@example.org"), x.signer("mallory@example.org")
	records := images.ProvenancesIn(x.path("state"))

	ref := x.image("one", "alice@example.org")
	if _, err := x.ensure(ref, images.PullMissing); !errors.Is(err, images.ErrPolicy) || !strings.Contains(strings.Join(fail.Hints(err), ""), "tbx image trust add "+x.r.host+"/team/app") {
		t.Errorf("without a key: %v %q", err, fail.Hints(err))
	}
	key, err := x.trust.Add(x.r.host+"/team", alice)
	if err != nil {
		t.Fatal(err)
	}
	if shown := x.run("gpg", "--list-keys", "--with-colons", "alice@example.org"); !strings.Contains(shown, "fpr:::::::::"+key.ID+":") {
		t.Errorf("fingerprint %s is not in %s", key.ID, shown)
	}
	img, err := x.ensure(ref, images.PullMissing)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x.store.List(context.Background())
	if err != nil || len(list) != 1 || len(list[0].Names) != 1 || list[0].Names[0] != ref {
		t.Errorf("images: %+v, %v, want one of the name that was asked for", list, err)
	}
	rec, ok, err := records.Load(img.ID)
	if err != nil || !ok || rec.Signer != key.ID || rec.Digest != img.Digest() || rec.Reference != ref {
		t.Errorf("record %+v, %v", rec, err)
	}
	if _, err := x.ensure(ref, images.PullMissing); err != nil {
		t.Errorf("a verified image that is there: %v", err)
	}

	if by, err := (images.Fetcher{Store: x.store, Trust: x.trust, StateDir: x.path("state")}).Verify(context.Background(), ref); err != nil || by.ID != key.ID {
		t.Errorf("verify: %+v, %v", by, err)
	}

	x.image("two", "")
	if _, err := x.ensure(ref, images.PullAlways); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("unsigned: %v", err)
	}
	if now, err := x.store.Inspect(context.Background(), ref); err != nil || now.ID != img.ID {
		t.Errorf("the tag moved to an unsigned image: %v", err)
	}
	x.image("three", "mallory@example.org")
	if _, err := x.ensure(ref, images.PullAlways); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("signed by another: %v", err)
	}

	// The signature of one tag does not do for another.
	other := x.r.host + "/team/app:2"
	x.image("four", "alice@example.org")
	x.run("skopeo", "copy", "--quiet", "--remove-signatures", "docker://"+ref, "docker://"+other)
	if _, err := x.ensure(other, images.PullMissing); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("another tag: %v", err)
	}

	// The owner hands the scope over: allowed, and told.
	if _, err := x.trust.Add(x.r.host+"/team", mallory); !errors.Is(err, fail.Exists) {
		t.Errorf("a second key: %v", err)
	}
	if err := x.trust.Remove(x.r.host + "/team"); err != nil {
		t.Fatal(err)
	}
	vouched := func(when string, want bool) {
		t.Helper()
		if _, err := x.ensure(ref, images.PullMissing); (err == nil) != want || err != nil && !errors.Is(err, images.ErrPolicy) {
			t.Errorf("an image that is here, %s: %v", when, err)
		}
	}
	vouched("when its key was removed", false)
	if _, err := x.trust.Add(x.r.host+"/team", alice); err != nil {
		t.Fatal(err)
	}
	vouched("when its key is trusted again", true)
	if err := x.trust.Remove(x.r.host + "/team"); err != nil {
		t.Fatal(err)
	}
	if _, err := x.trust.Add(x.r.host+"/team", mallory); err != nil {
		t.Fatal(err)
	}
	vouched("when another key took the place of its own", false)
	x.image("five", "mallory@example.org")
	if _, err := x.ensure(ref, images.PullAlways); err != nil {
		t.Fatal(err)
	}
	if !x.seen.has(func(e images.Event) bool { return e.Stage == images.StageWarning && strings.Contains(e.Text, key.ID) }) {
		t.Errorf("no warning of the other signer")
	}

	// What nobody vouches for is refused, unless the user says so.
	x.write("content", "mine")
	x.run("tar", "-C", x.dir, "-cf", x.path("app.tar"), "content")
	x.run("podman", "import", "--quiet", x.path("app.tar"), "localhost/mine:1")
	if mine, err := x.ensure("localhost/mine:1", images.PullMissing); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("a local image: %v, %s", err, mine.ID)
	}
	if _, err := (images.Fetcher{Store: x.store, Trust: x.trust, StateDir: x.path("state")}).Verify(context.Background(), "localhost/mine:1"); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("verify a local image: %v", err)
	}
	x.opts.UnsignedOK = true
	if _, err := x.ensure("localhost/mine:1", images.PullMissing); err != nil {
		t.Errorf("a local image, unsigned ok: %v", err)
	}
	if left, _ := filepath.Glob(x.path("state/policy-*")); left != nil {
		t.Errorf("left %s", left)
	}
}

// With a sigstore key podman either verifies or is said to be unable; it never
// takes an image that it did not verify.
func TestS9_SignedBySigstore(t *testing.T) {
	x := newTrusting(t)
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.trust.Add(x.r.host, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); err != nil {
		t.Fatal(err)
	}
	ref := x.image("one", "")
	_, err = x.ensure(ref, images.PullMissing)
	if !errors.Is(err, images.ErrPolicy) || !strings.Contains(strings.Join(fail.Hints(err), ""), "cannot check sigstore") {
		t.Errorf("unsigned: %v %q", err, fail.Hints(err))
	}
	x.cosign(ref, signer)
	img, err := x.ensure(ref, images.PullMissing)
	if err != nil {
		if !x.old() {
			t.Fatalf("podman 5 can verify, and does not: %v", err)
		}
		if !errors.Is(err, fail.Unable) || !strings.Contains(strings.Join(fail.Hints(err), ""), "cannot check sigstore") {
			t.Errorf("signed: %v %q", err, fail.Hints(err))
		}
		if _, err := x.store.Inspect(context.Background(), ref); !errors.Is(err, fail.NotFound) {
			t.Errorf("it took the image: %v", err)
		}
		return
	}
	first, ok, err := x.trust.Vouched(images.ProvenancesIn(x.path("state")), img, ref)
	if !ok || err != nil || !strings.HasPrefix(first, "SHA256:") {
		t.Errorf("vouched by %q, %v", first, err)
	}
	if by, err := (images.Fetcher{Store: x.store, Trust: x.trust, StateDir: x.path("state")}).Verify(context.Background(), ref); err != nil || by.ID != first {
		t.Errorf("verify: %+v, %v", by, err)
	}

	// Another key's signature is none.
	mallory, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x.cosign(x.image("two", ""), mallory)
	if _, err := x.ensure(ref, images.PullAlways); !errors.Is(err, images.ErrPolicy) {
		t.Errorf("signed by another: %v", err)
	}
	if now, err := x.store.Inspect(context.Background(), ref); err != nil || now.ID != img.ID {
		t.Errorf("the tag moved: %v", err)
	}

	// A key and a signature of podman's own making.
	x.write("passphrase", "")
	x.run("skopeo", "generate-sigstore-key", "--passphrase-file", x.path("passphrase"), "--output-prefix", x.path("own"))
	public, err := os.ReadFile(x.path("own.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.trust.Remove(x.r.host); err != nil {
		t.Fatal(err)
	}
	own, err := x.trust.Add(x.r.host, public)
	if err != nil {
		t.Fatal(err)
	}
	x.image("three", "", "--sign-by-sigstore-private-key", x.path("own.private"), "--sign-passphrase-file", x.path("passphrase"))
	if img, err = x.ensure(ref, images.PullAlways); err != nil {
		t.Fatalf("signed by podman: %v %q", err, fail.Hints(err))
	}
	if by, ok, err := x.trust.Vouched(images.ProvenancesIn(x.path("state")), img, ref); !ok || err != nil || by != own.ID || by == first {
		t.Errorf("vouched by %q, %v", by, err)
	}
	if !x.seen.has(func(e images.Event) bool { return e.Stage == images.StageWarning && strings.Contains(e.Text, own.ID) }) {
		t.Errorf("no warning of the other signer")
	}
}

// cosign attaches a signature as cosign's SIGNATURE_SPEC.md has it.
func (x *trusting) cosign(ref string, signer *ecdsa.PrivateKey) {
	x.t.Helper()
	digest, err := x.opts.Registry.Digest(context.Background(), ref)
	if err != nil {
		x.t.Fatal(err)
	}
	repository := strings.TrimSuffix(ref, ":1")
	payload := []byte(`{"critical":{"identity":{"docker-reference":"` + repository + `"},"image":{"docker-manifest-digest":"` + digest + `"},"type":"cosign container image signature"},"optional":null}`)
	sum := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, signer, sum[:])
	if err != nil {
		x.t.Fatal(err)
	}
	config := []byte(`{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:` + hex.EncodeToString(sum[:]) + `"]}}`)
	descriptor := func(mediaType string, data []byte) map[string]any {
		sum := sha256.Sum256(data)
		return map[string]any{"mediaType": mediaType, "size": len(data), "digest": "sha256:" + hex.EncodeToString(sum[:])}
	}
	layer := descriptor("application/vnd.dev.cosign.simplesigning.v1+json", payload)
	layer["annotations"] = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config), "layers": []any{layer},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	base := "http://" + x.r.backend + "/v2/team/app"
	for _, blob := range [][]byte{payload, config} {
		location := x.send(http.MethodPost, base+"/blobs/uploads/", "", nil)
		sum := sha256.Sum256(blob)
		x.send(http.MethodPut, location+"&digest=sha256:"+hex.EncodeToString(sum[:]), "application/octet-stream", blob)
	}
	x.send(http.MethodPut, base+"/manifests/"+strings.Replace(digest, ":", "-", 1)+".sig", "application/vnd.oci.image.manifest.v1+json", manifest)
}

func (x *trusting) send(method, address, mediaType string, body []byte) (location string) {
	x.t.Helper()
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		x.t.Fatalf("%s %s: %s %s", method, address, resp.Status, text)
	}
	return resp.Header.Get("Location")
}
