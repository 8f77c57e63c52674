package images

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// PullFailure turns the error of a pull of ref into one with a hint that wraps the Err…
// of its reason. podman passes on only the text of containers/image, so the reason is
// recognised by the text; an unknown text stays a plain failure.
func PullFailure(ref string, err error) error {
	e := fail.Wrap(nil, err, "image %s: pull", escape.Text(ref))
	reason := pullReason(err)
	if reason == nil {
		return e
	}
	if !errors.Is(err, reason) {
		e.Cause = &PullError{Reason: reason, Text: strings.Join(strings.Fields(err.Error()), " ")}
	}
	e.Kind = kindOf(reason)
	return e.Hint("%s", nextStep(reason, ref, err.Error()))
}

// kindOf is the kind of a failure for a reason; nil: a plain failure.
func kindOf(reason error) error {
	switch {
	case oneOf(reason, ErrUnreachable, ErrNoRegistry, ErrTLS, ErrDiskFull, ErrSettings):
		return fail.Unable
	case oneOf(reason, ErrNoManifest, ErrNoPlatform):
		return fail.NotFound
	}
	return nil
}

// nextStep returns the hint for a failed pull of ref with that reason and text.
func nextStep(reason error, ref, text string) string {
	registry, short := "the registry", false
	if r, err := ParseRef(ref); err == nil {
		short = r.Short()
		if r.Domain != "" {
			registry = r.Domain
		}
		if short && !strings.Contains(r.Path, "/") {
			ref = "library/" + ref
		}
	}
	switch {
	case errors.Is(reason, ErrUnreachable):
		return "check the network, the proxy settings and the mirrors in registries.conf, then try again"
	case oneOf(reason, ErrStalled, ErrServer, ErrCorrupt):
		return "try again: layers that are complete are not downloaded a second time"
	case errors.Is(reason, ErrNoRegistry):
		return "check the name; a login page of the network, or a proxy, may stand in front of " + registry
	case errors.Is(reason, ErrThrottled):
		return "wait, or log in with podman login " + registry + " for a larger allowance"
	case errors.Is(reason, ErrDenied):
		return "either there is no such image, or it is private: podman login " + registry + ", or --authfile"
	case errors.Is(reason, ErrNoManifest):
		return "check the name and the tag; tags do vanish from registries"
	case errors.Is(reason, ErrNoPlatform):
		return "another release may have it; --platform takes an image for another architecture"
	case errors.Is(reason, ErrTLS):
		if strings.Contains(text, "server gave HTTP response to HTTPS client") {
			return "the registry does not use TLS; to allow that, write insecure = true for " + registry + " in ~/.config/containers/registries.conf"
		}
		return "put the registry's CA in ~/.config/containers/certs.d/" + registry + "/ca.crt, or below /etc/containers for all users"
	case errors.Is(reason, ErrDiskFull):
		return makeRoom
	case errors.Is(reason, ErrPolicy):
		return "containers-policy.json(5) describes who must have signed it"
	}
	if short {
		return "name its registry too, such as docker.io/" + ref + "; ~/.config/containers/registries.conf lists registries for short names"
	}
	return "change that file: containers-registries.conf(5), containers-auth.json(5) and containers-policy.json(5) describe it"
}

func oneOf(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// NameFullDisk makes the cause of e an ErrDiskFull, with a hint, if that cause or another
// line reports a full disk.
func NameFullDisk(e *fail.Error, said ...string) *fail.Error {
	full := errors.Is(pullReason(e.Cause), ErrDiskFull)
	for _, line := range said {
		full = full || errors.Is(pullReason(errors.New(line)), ErrDiskFull)
	}
	if !full {
		return e
	}
	e.Kind = fail.Unable
	if !errors.Is(e.Cause, ErrDiskFull) {
		e.Cause = &PullError{Reason: ErrDiskFull, Text: e.Cause.Error()}
	}
	return e.Hint(makeRoom)
}

const makeRoom = "make room: tbx image prune removes unused images"

// WorthRetrying reports whether the same pull may succeed in a moment: the registry
// failed after it had answered. Earlier failures podman retries itself.
func WorthRetrying(err error) bool {
	text := err.Error()
	return errors.Is(err, ErrServer) && !strings.Contains(text, "pinging container registry") && !strings.Contains(text, "reading manifest")
}

// PullError is podman's text with the reason that was read from it.
type PullError struct {
	Reason error // one of the Err… of this package
	Text   string
}

// Error is podman's text, which says more than the reason.
func (e *PullError) Error() string { return e.Reason.Error() + ": " + e.Text }

// Unwrap gives errors.Is the reason.
func (e *PullError) Unwrap() error { return e.Reason }

// pullReason finds the reason of a pull's failure, or nil.
func pullReason(err error) error {
	for _, reason := range []error{ErrUnreachable, ErrStalled, ErrServer, ErrDenied, ErrThrottled, ErrNoManifest, ErrNoPlatform,
		ErrTLS, ErrCorrupt, ErrDiskFull, ErrNoRegistry, ErrPolicy, ErrSettings} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	text := strings.ReplaceAll(strings.ToLower(err.Error()), "statuscode: ", "status: ")
	for _, known := range []struct {
		reason error
		says   []string
	}{
		// First what would also match a later, more general line.
		{ErrDiskFull, []string{"no space left on device", "disk quota exceeded"}},
		{ErrSettings, []string{"did not resolve to an alias", "short-name resolution enforced", "loading registries configuration",
			" is blocked in ", "invalid policy in", "reading json file"}},
		{ErrPolicy, []string{"a signature was required", "source image rejected", "running image docker://", "is rejected by policy",
			"no policy.json file"}},
		{ErrThrottled, []string{"toomanyrequests", "too many requests"}},
		{ErrNoPlatform, []string{"no image found in manifest list", "no image found in image index"}},
		{ErrNoManifest, []string{"manifest unknown", "name unknown", "repository name not known", "404 (not found)", "name invalid"}},
		{ErrDenied, []string{"unauthorized", "access to the resource is denied", "denied:", "401 (unauthorized)",
			"403 (forbidden)", "invalid username/password", "authentication required"}},
		{ErrTLS, []string{"x509:", "tls:", "server gave http response to https client", "certificate"}},
		{ErrCorrupt, []string{"does not match", "did not match", "digest invalid", "digest verification", "invalid checksum", "digest mismatch"}},
		{ErrNoRegistry, []string{"invalid character '<' looking for beginning of value", "stopped after 10 redirects"}},
		{ErrUnreachable, []string{"no such host", "connection refused", "network is unreachable", "no route to host", "dial tcp", "i/o timeout",
			"temporary failure in name resolution", "proxyconnect", "server misbehaving"}},
		{ErrCorrupt, []string{"exceeded maximum allowed size"}}, // a manifest
		{ErrServer, []string{"unexpected eof", "connection reset", ": eof", "received unexpected http status: 5", "internal server error",
			"bad gateway", "service unavailable", "gateway timeout", "use of closed network connection", "connection closed"}},
	} {
		for _, s := range known.says {
			if strings.Contains(text, s) {
				return known.reason
			}
		}
	}
	if text == "eof" { // podman 5, of a connection that was closed
		return ErrServer
	}
	return statusReason(text)
}

// statusReason reads the reason from an error that has nothing but a registry's status
// number. podman 5 writes it as "http 403".
func statusReason(text string) error {
	m := regexp.MustCompile(`(?:status:?(?: code)?|http) ([45])(\d\d)\b`).FindStringSubmatch(text)
	switch {
	case m == nil:
		return nil
	case m[1] == "5":
		return ErrServer
	case m[2] == "01" || m[2] == "03":
		return ErrDenied
	case m[2] == "04":
		return ErrNoManifest
	case m[2] == "29":
		return ErrThrottled
	}
	return nil
}
