// Package registry asks a container registry, without root and without pulling
// anything, whether a tag still points to the manifest that the host runs. The
// answer is a hint: TLS protects it, no signature; the real pull verifies.
// Package ociregistry has the protocol.
package registry

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ociregistry"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// Timeout bounds one request; a check is worth no more than three seconds each.
const Timeout = 3 * time.Second

var (
	referenceForm = pattern.Lazy(`^([a-zA-Z0-9.-]+(?::[0-9]+)?)/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)` +
		`(?::([A-Za-z0-9_][A-Za-z0-9._-]*))?(@sha256:[0-9a-f]{64})?$`)
	digestForm = pattern.Lazy(`^sha256:[0-9a-f]{64}$`)
)

// Newer compares the manifest that reference (HOST/REPOSITORY:TAG) names now
// with the digest that the host runs. It returns the new manifest's digest for
// this machine, or "" when it is the same. One HEAD request when nothing
// changed; a token when the registry wants one, and one GET when the tag names
// an index of several machines' images.
func Newer(ctx context.Context, client *http.Client, reference, digest string) (string, error) {
	m := referenceForm().FindStringSubmatch(reference)
	if m == nil {
		return "", fail.New(osupdate.ErrUnsupported, "image %s: not a name in a registry", reference).Hint("check with the updater itself")
	}
	if m[4] != "" {
		return "", nil // pinned to one manifest: nothing newer can exist
	}
	host, repo, tag := m[1], m[2], m[3]
	if tag == "" {
		tag = "latest"
	}
	limited := *client
	limited.Timeout = Timeout
	at := ociregistry.Repository{Client: &limited, Host: host, Path: repo}
	head, err := at.Manifest(ctx, http.MethodHead, tag)
	if err != nil {
		return "", explain(reference, err)
	}
	if !digestForm().MatchString(head.Digest) {
		return "", fail.New(osupdate.ErrBadOutput, "image %s: the registry gave no digest", reference).Hint("check with the updater itself")
	}
	if head.Digest == digest {
		return "", nil
	}
	if !head.IsIndex() {
		return head.Digest, nil
	}
	index, err := at.Manifest(ctx, http.MethodGet, head.Digest)
	if err != nil {
		return "", explain(reference, err)
	}
	contents, err := index.Contents()
	mine := contents.Instance("")
	if err == nil && !digestForm().MatchString(mine) {
		err = errors.New("no image for linux/" + runtime.GOARCH)
	}
	if err != nil {
		return "", fail.Wrap(osupdate.ErrBadOutput, err, "image %s", reference).Hint("check with the updater itself")
	}
	if mine == digest {
		return "", nil
	}
	return mine, nil
}

// explain says what a failure means for a check of the host's image, and what to do.
func explain(reference string, err error) error {
	var status *ociregistry.StatusError
	denied := errors.Is(err, ociregistry.ErrChallenge) || errors.Is(err, ociregistry.ErrToken)
	if errors.As(err, &status) {
		denied = status.Token || status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden
	}
	switch {
	case denied:
		return fail.Wrap(osupdate.ErrPermission, err, "image %s: the registry does not let an ordinary user look", reference).
			Hint("root has the registry's credentials: sudo tbx host check")
	case errors.Is(err, ociregistry.ErrCorrupt), errors.Is(err, ociregistry.ErrTooLarge):
		return fail.Wrap(osupdate.ErrBadOutput, err, "image %s", reference).Hint("check with the updater itself")
	case status == nil:
		return fail.Wrap(osupdate.ErrNetwork, err, "image %s: the registry cannot be reached", reference).
			Hint("check the network and try again")
	case status.Code == http.StatusNotFound:
		return fail.New(osupdate.ErrNotFound, "image %s: the registry does not have it", reference).
			Hint("follow another one: tbx host switch IMAGE")
	}
	return fail.New(osupdate.ErrNetwork, "image %s: the registry answers %s", reference, status.Status).Hint("try again later")
}
