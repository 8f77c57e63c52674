package images

import "context"

// Registry answers small questions about remote images. PullFailure makes its errors.
// Package images/registry implements it.
type Registry interface {
	// Digest is what the tag of ref points to, at the cost of one HEAD request.
	Digest(ctx context.Context, ref string) (string, error)
	// Size is how many bytes a pull of ref for that platform would download
	// into an empty store. platform "" is this machine's.
	Size(ctx context.Context, ref, platform string) (int64, error)
}
