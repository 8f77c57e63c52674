package images

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
)

func archiveOf(t *testing.T, members ...[2]string) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m[0], Size: int64(len(m[1]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, m[1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestE113_NamesInAnArchive: an archive gives its image no name of the host's.
func TestE113_NamesInAnArchive(t *testing.T) {
	const digest = `"mediaType":"m","digest":"sha256:aa","size":7`
	for in, want := range map[string]string{
		`index.json {"schemaVersion":2,"manifests":[{` + digest + `,"annotations":{"org.opencontainers.image.ref.name":"debian:12"}}]}`: `{"schemaVersion":2,"manifests":[{` + digest + `}]}`,
		`manifest.json [{"Config":"c.json","RepoTags":["debian:12"],"Layers":["l"]}]`:                                                   `[{"Config":"c.json","RepoTags":[],"Layers":["l"]}]`,
		`manifest.json [{"Config":"c"},{"Config":"d"}]`:                                                                                 "",
		`index.json {}`: "",
		`blob x`:        "",
	} {
		name, text, _ := strings.Cut(in, " ")
		var out bytes.Buffer
		err := Nameless(archiveOf(t, [2]string{name, text}, [2]string{"repositories", "{}"}, [2]string{"blobs/sha256/aa", "content"}), &out)
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", in)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		r := tar.NewReader(&out)
		var got []string
		for {
			h, err := r.Next()
			if err != nil {
				break
			}
			data, _ := io.ReadAll(r)
			got = append(got, h.Name, string(data))
		}
		if strings.Join(got, "\n") != strings.Join([]string{name, want, "blobs/sha256/aa", "content"}, "\n") {
			t.Errorf("%s: %q", in, got)
		}
	}
}
