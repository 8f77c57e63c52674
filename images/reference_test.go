package images_test

import (
	_ "crypto/sha512" // the library knows a digest's algorithm when it is linked in, as it is in podman
	"errors"
	"strings"
	"testing"

	"github.com/containers/image/v5/docker/reference"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// references are the seeds of both tests below: good ones, and every way to
// leave the grammar that is known to us.
var hex64 = strings.Repeat("0123456789abcdef", 4)

func references() []string {
	return []string{
		"debian", "debian:12", "library/debian", "docker.io/library/debian:12", "localhost/x", "localhost:5000/x:y",
		"registry.example.org:5000/a/b/c:tag", "127.0.0.1:5000/a", "[::1]:5000/a:b", "[fe80::1]/a", "UPPER.example/a",
		"Upper/a", "a_b", "a__b", "a.b", "a--b", "a---b/c", "a_.b", "a___b", "a..b", "a.-b", "-a", "a-", "a_", ".a", "a/", "/a", "a//b",
		"debian@sha256:" + hex64, "debian:12@sha256:" + hex64, "debian@sha256:" + hex64[1:], "debian@sha512:" + hex64 + hex64,
		"debian@sha256:" + strings.ToUpper(hex64), "debian@md5:" + hex64, "debian@", "debian@sha256:",
		"debian:", "debian:.x", "debian:-x", "debian:_x", "debian:x.y-z_1", "debian:" + strings.Repeat("t", 128), "debian:" + strings.Repeat("t", 129),
		"Debian", "debian:1:2", "a:b/c", "a:5/c", "host:/c", "host:5x/c", "-host.org/c", "host-.org/c", "ho--st.org/c", "h..o/c", ".host/c",
		"", ":", "@", "/", ":tag", "a b", "a\nb", "a\x00b", "dé", "a/b:c\u202e", "[::1/a", "[]/a", "[g::]/a", "x/" + strings.Repeat("a", 253),
		"x/" + strings.Repeat("a", 254), "reg.io/" + strings.Repeat("a", 248), "reg.io/" + strings.Repeat("a", 249), "docker.io/debian",
		"a/b@sha256:" + hex64 + "@sha256:" + hex64, "a//", "host.org:/a", "host.org:5000", "host.org", "a:5000",
	}
}

func TestParseRefAgreesWithTheReferenceImplementation(t *testing.T) {
	for _, s := range references() {
		compare(t, s)
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range references() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { compare(t, s) })
}

// compare holds ParseRef against the library that podman uses. Where the two
// are meant to differ, the string is left out.
func compare(t *testing.T, s string) {
	if strings.Contains(s, "://") || len(s) > 600 {
		return
	}
	if _, digest, found := strings.Cut(s, "@"); found {
		if algorithm, _, _ := strings.Cut(digest, ":"); algorithm != "sha256" && algorithm != "sha384" && algorithm != "sha512" {
			return // the library also knows whatever algorithm is linked in
		}
	}
	ref, err := images.ParseRef(s)
	if ref.ID != "" {
		return // the library refuses IDs
	}
	theirs, theirErr := reference.ParseNormalizedNamed(s)
	if theirErr != nil && errors.Is(theirErr, reference.ErrNameTooLong) && err == nil && ref.Domain == "" {
		return // it counts the docker.io/library/ that it adds
	}
	if (err == nil) != (theirErr == nil) {
		t.Fatalf("ParseRef(%q) = %+v, %v; the library says %v", s, ref, err, theirErr)
	}
	if err != nil {
		if !errors.Is(err, fail.Usage) {
			t.Fatalf("ParseRef(%q): error %v is not of kind usage", s, err)
		}
		return
	}
	if ref.String() != s {
		t.Fatalf("ParseRef(%q).String() = %q", s, ref.String())
	}
	tag, digest := "", ""
	if r, ok := theirs.(reference.Tagged); ok {
		tag = r.Tag()
	}
	if r, ok := theirs.(reference.Digested); ok {
		digest = r.Digest().String()
	}
	if ref.Tag != tag || ref.Digest != digest || ref.Domain != "" && ref.Domain != "index.docker.io" && ref.Domain != reference.Domain(theirs) {
		t.Fatalf("ParseRef(%q) = %+v; the library says %q %q %q", s, ref, reference.Domain(theirs), tag, digest)
	}
}

func TestI6_ParseRefSaysWhatIsWrong(t *testing.T) {
	for s, want := range map[string]string{
		"docker://debian":  "leave out everything up to ://",
		"Debian":           "must be in lower case",
		"debian:":          "the tag behind the last colon",
		"debian@sha256:12": "not a digest",
		"ho_st.org/x":      `the registry "ho_st.org" is not a host name`,
		"a/b..c":           `its part "b..c"`,
		"":                 "it names no image",
		"a\u202eb":         `"a\u202eb"`,
		"a;b":              `its part "a;b"`,
		"$(id)":            `its part "$(id)"`,
		"a`id`":            "its part \"a`id`\"",
		"a b":              `its part "a b"`,
		"a\nb":             `its part "a\nb"`,
		"-debian":          `its part "-debian"`,
		"debian:$(id)":     "the tag behind the last colon",
		"debian@sha256:" + strings.Repeat("0", 63): "not a digest",
		"debian@sha256:" + strings.Repeat("0", 65): "not a digest",
		"debian@sha256:" + strings.Repeat("G", 64): "not a digest",
	} {
		_, err := images.ParseRef(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRef(%q): %v, want it to say %q", s, err, want)
		}
	}
}

func TestParseRefTakesImageIDs(t *testing.T) {
	for _, s := range []string{hex64, "sha256:" + hex64} {
		if r, err := images.ParseRef(s); err != nil || r.ID != hex64 || !r.Local() {
			t.Errorf("ParseRef(%q) = %+v, %v", s, r, err)
		}
	}
}
