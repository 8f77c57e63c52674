package podman

import (
	"context"
	"fmt"
	"net/http"
)

// Share is how an image's size divides, in bytes.
type Share struct {
	Own    int64 // of layers that only this image has: what its removal frees
	Common int64 // of layers that other images have too
}

// Shares gives the Share of every image, by ID. podman walks all layers and
// containers for it, which takes much longer than List.
func (s *Store) Shares(ctx context.Context) (map[string]Share, error) {
	var df struct {
		Images []struct {
			ImageID                string
			SharedSize, UniqueSize int64
		}
	}
	if err := s.exchange(ctx, request{method: http.MethodGet, address: libpod + "/system/df"}, &df); err != nil {
		return nil, fmt.Errorf("disk use of images: %w", err)
	}
	out := map[string]Share{}
	for _, i := range df.Images { // one entry for each name
		out[i.ImageID] = Share{i.UniqueSize, i.SharedSize}
	}
	return out, nil
}
