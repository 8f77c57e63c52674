package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tbx-project/tbx/images"
)

// Save implements images.Archives.
func (s *Store) Save(ctx context.Context, id string, out io.Writer) error {
	var data struct{ ManifestType string }
	at := libpod + "/images/" + url.PathEscape(id)
	if err := s.exchange(ctx, request{method: http.MethodGet, address: at + "/json"}, &data); err != nil {
		return fmt.Errorf("image %s: %w", id, err)
	}
	format := "oci-archive"
	if strings.Contains(data.ManifestType, "docker") { // in the other format its ID would differ
		format = "docker-archive"
	}
	resp, err := s.call(ctx, request{method: http.MethodGet, address: at + "/get", query: url.Values{"format": {format}}})
	if err != nil {
		return fmt.Errorf("image %s: %w", id, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("image %s: %w", id, err)
	}
	return nil
}

// Load implements images.Archives.
func (s *Store) Load(ctx context.Context, archive io.Reader) error {
	r, w := io.Pipe()
	filtered := make(chan error, 1)
	go func() {
		err := images.Nameless(archive, w)
		filtered <- err
		w.CloseWithError(err)
	}()
	resp, err := s.call(ctx, request{method: http.MethodPost, address: libpod + "/images/load", body: r,
		header: http.Header{"Content-Type": {"application/x-tar"}}})
	r.Close()
	if err == nil {
		err = json.NewDecoder(resp.Body).Decode(&struct{ Names []string }{})
		resp.Body.Close()
	}
	if ferr := <-filtered; ferr != nil && err != nil {
		err = ferr // the reason why podman had too little
	}
	if err != nil {
		return fmt.Errorf("the image in the file: %w", err)
	}
	return nil
}
