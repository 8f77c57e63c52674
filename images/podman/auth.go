package podman

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// authHeader passes the logins of a containers-auth.json(5) file to the service, which
// reads only its own file. Without a file podman uses the logins of podman login. Only
// the entry of the asked domain must have its secret in the file; the secrets of others
// may be in a helper program.
func authHeader(path, domain string) (http.Header, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fail.Wrap(fail.Usage, err, "authfile %s", path)
	}
	var file struct {
		Auths map[string]struct{ Auth, IdentityToken string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fail.Wrap(fail.Usage, err, "authfile %s", path)
	}
	type credentials struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		IdentityToken string `json:"identitytoken,omitempty"`
	}
	config := map[string]credentials{}
	for registry, entry := range file.Auths {
		plain, err := base64.StdEncoding.DecodeString(entry.Auth)
		user, password, found := strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		if err != nil || !found {
			if host, _, _ := strings.Cut(registry, "/"); host != domain {
				continue
			}
			return nil, fail.New(fail.Usage, "authfile %s: the entry of %s holds no user and password", path, registry).
				Hint("podman login --authfile %s %s writes one", path, registry)
		}
		config[registry] = credentials{user, password, entry.IdentityToken}
	}
	header, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return http.Header{"X-Registry-Config": {base64.URLEncoding.EncodeToString(header)}}, nil
}
