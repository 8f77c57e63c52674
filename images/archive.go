package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tbx-project/tbx/internal/fail"
)

const maxIndex = 4 << 20 // bytes of the member of an archive that names its images

// Nameless copies an archive of one image, in the format oci-archive or docker-archive,
// without the names that it would give the image: an archive from outside must not rename
// local images. See containers-transports(5).
func Nameless(from io.Reader, to io.Writer) error {
	in, out := tar.NewReader(from), tar.NewWriter(to)
	images := 0
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("the archive with the image: %w", err)
		}
		var data []byte
		switch h.Name {
		case "repositories":
			continue // names of an old form
		case "index.json", "manifest.json":
			images++
			if data, err = nameless(h.Name, io.LimitReader(in, maxIndex)); err != nil {
				return err
			}
			h.Size = int64(len(data))
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if data != nil {
			_, err = out.Write(data)
		} else {
			_, err = io.Copy(out, in)
		}
		if err != nil {
			return err
		}
	}
	if images != 1 {
		return fail.New(fail.Usage, "the archive with the image is not as tbx writes it: it holds %d images", images)
	}
	return out.Close()
}

// nameless returns an archive's index of one image, without its names.
func nameless(name string, in io.Reader) ([]byte, error) {
	bad := fail.New(fail.Usage, "the archive with the image is not as tbx writes it: its %s has not one image", name)
	if name == "manifest.json" {
		var list []struct {
			Config   string
			RepoTags []string
			Layers   []string
		}
		if err := json.NewDecoder(in).Decode(&list); err != nil || len(list) != 1 {
			return nil, bad
		}
		list[0].RepoTags = []string{}
		return json.Marshal(list)
	}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	index := struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
	}{}
	if err := json.NewDecoder(in).Decode(&index); err != nil || len(index.Manifests) != 1 {
		return nil, bad
	}
	return json.Marshal(index)
}
