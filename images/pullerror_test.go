package images_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// What podman 4.3.1 and 5.4.2 said, each with the reason that is in it.
func TestPullFailure(t *testing.T) {
	for text, want := range map[string]error{
		`initializing source docker://r.org/a:1: pinging container registry r.org: Get "https://r.org/v2/": dial tcp 127.0.0.1:9: connect: connection refused`:   images.ErrUnreachable,
		`initializing source docker://r.org/a:1: pinging container registry r.org: Get "https://r.org/v2/": dial tcp: lookup r.org on 10.0.0.1:53: no such host`: images.ErrUnreachable,
		`initializing source docker://r.org/a:1: reading manifest 1 in r.org/a: manifest unknown: manifest unknown`:                                              images.ErrNoManifest,
		`initializing source docker://r.org/a:1: reading manifest 1 in r.org/a: unauthorized`:                                                                    images.ErrDenied,
		`initializing source docker://r.org/a:1: pinging container registry r.org: Get "https://r.org/v2/": http: server gave HTTP response to HTTPS client`:     images.ErrTLS,
		`initializing source docker://r.org/a:1: pinging container registry r.org: Get "https://r.org/v2/": x509: certificate signed by unknown authority`:       images.ErrTLS,
		`Source image rejected: A signature was required, but no signature exists`:                                                                               images.ErrPolicy,
		`Source image rejected: Running image docker://r.org/a:1 is rejected by policy.`:                                                                         images.ErrPolicy,
		`writing blob: adding layer with blob "sha256:00": Error processing tar file(exit status 1): write /x: no space left on device`:                          images.ErrDiskFull,
		`choosing image instance: no image found in manifest list for architecture riscv64, variant "", OS linux`:                                                images.ErrNoPlatform,
		`error parsing HTTP 403 response body: no error details found in HTTP response body: "{\"errors\":[]}\n"`:                                                images.ErrDenied,
		`error parsing HTTP 429 response body: no error details found in HTTP response body: ""`:                                                                 images.ErrThrottled,
		`initializing image from source docker://r.org/a:1: invalid character '<' looking for beginning of value`:                                                images.ErrNoRegistry,
		`initializing source docker://r.org/a:1: reading manifest 1 in r.org/a: Get "/v2/a/manifests/1": stopped after 10 redirects`:                             images.ErrNoRegistry,
		`EOF`: images.ErrServer,
		`short-name "x:1" did not resolve to an alias and no unqualified-search registries are defined in "/home/u/.config/containers/registries.conf"`:                   images.ErrSettings,
		`short-name resolution enforced but cannot prompt without a TTY`:                                                                                                  images.ErrSettings,
		`loading registries configuration "/home/u/.config/containers/registries.conf": toml: line 1: expected '.' or '='`:                                                images.ErrSettings,
		`initializing source docker://r.org/a:1: registry r.org is blocked in /home/u/.config/containers/registries.conf or /home/u/.config/containers/registries.conf.d`: images.ErrSettings,
		`invalid policy in "/home/u/.config/containers/policy.json": unexpected end of JSON input`:                                                                        images.ErrSettings,
		`getting username and password: 1 error occurred: * reading JSON file "/home/u/.config/containers/auth.json": unmarshaling JSON at "auth.json": unexpected end`:   images.ErrSettings,
		`received unexpected HTTP status: 503 Service Unavailable`:                                                                                                        images.ErrServer,
		`something nobody has seen in geoffrey's image`:                                                                                                                   nil,
	} {
		err := images.PullFailure("r.org/a:1", errors.New(text))
		if !strings.HasPrefix(err.Error(), "image r.org/a:1: pull: ") || !strings.HasSuffix(err.Error(), text) {
			t.Errorf("message %q", err)
		}
		var got *images.PullError
		if errors.As(err, &got); want == nil && got != nil || want != nil && (!errors.Is(err, want) || len(fail.Hints(err)) == 0) {
			t.Errorf("%s:\ngot %v, want %v, hints %q", text, err, want, fail.Hints(err))
		}
	}
	for ref, want := range map[string]string{"x:1": "docker.io/library/x:1;", "team/x": "docker.io/team/x;", "r.org/x": "change that file"} {
		err := images.PullFailure(ref, errors.New("short-name resolution enforced\n\tbut"))
		if hints := fail.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, hints %q", err, hints)
		}
	}
	// A failure that is known already is not read again.
	err := images.PullFailure("r.org/a:1", images.PullFailure("r.org/a:1", images.ErrStalled))
	if !errors.Is(err, images.ErrStalled) || errors.Is(err, images.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestParsePullPolicy(t *testing.T) {
	for _, s := range []string{"missing", "always", "newer", "never"} {
		if p, err := images.ParsePullPolicy(s); err != nil || string(p) != s {
			t.Errorf("%s: %s, %v", s, p, err)
		}
	}
	if p, err := images.ParsePullPolicy(""); err != nil || p != images.PullMissing {
		t.Errorf("default: %s, %v", p, err)
	}
	if _, err := images.ParsePullPolicy("sometimes"); !errors.Is(err, fail.Usage) {
		t.Errorf("%v", err)
	}
}
