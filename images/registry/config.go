package registry

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/ociregistry"
)

// Files are the files that podman reads, for one user.
type Files struct {
	RegistriesConf []string // containers-registries.conf(5), least important first
	CertDirs       []string // directories of containers-certs.d(5)
	Auth           []string // containers-auth.json(5), most important first
}

// UserFiles returns the files that podman reads for the user with that home. authFile, if
// not empty, comes before all logins.
func UserFiles(home, authFile string, getenv func(string) string) Files {
	config := getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	config = filepath.Join(config, "containers")
	var f Files
	if conf := getenv("CONTAINERS_REGISTRIES_CONF"); conf != "" {
		f.RegistriesConf = []string{conf} // instead of all others
	} else {
		for _, dir := range []string{"/etc/containers", config} {
			dropIns, _ := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf")) // sorted; the pattern is well-formed
			f.RegistriesConf = append(append(f.RegistriesConf, filepath.Join(dir, "registries.conf")), dropIns...)
		}
	}
	f.CertDirs = []string{filepath.Join(config, "certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"}
	for _, path := range []string{authFile, getenv("REGISTRY_AUTH_FILE")} {
		if path != "" {
			f.Auth = append(f.Auth, path)
		}
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		f.Auth = append(f.Auth, filepath.Join(dir, "containers", "auth.json"))
	}
	f.Auth = append(f.Auth, filepath.Join(config, "auth.json"), filepath.Join(home, ".docker", "config.json"))
	return f
}

// config is the part of registries.conf that decides where a name leads. It is
// podman's file: keys that tbx does not know are podman's business.
type config struct {
	Registry []registryTable
}

type registryTable struct {
	Prefix, Location  string
	Insecure, Blocked bool
	Mirror            []struct {
		Location string
		Insecure bool
		Pull     string `toml:"pull-from-mirror"`
	}
	DigestOnly bool `toml:"mirror-by-digest-only"`
}

func readConfig(paths []string) (config, error) {
	var all config
	for _, path := range paths {
		var one config
		if _, err := toml.DecodeFile(path, &one); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return config{}, fmt.Errorf("%s: %w", path, err)
		}
		for _, r := range one.Registry {
			if r.Prefix == "" {
				r.Prefix = r.Location
			}
			if r.Location == "" {
				r.Location = r.Prefix
			}
			all.Registry = append(all.Registry, r)
		}
	}
	return all, nil
}

// place is where a repository can be asked for.
type place struct {
	host, path string
	insecure   bool
}

// places lists the mirrors of ref and then its registry, by the table with the
// longest prefix; of equal ones the last.
func (c config) places(ref images.Ref) ([]place, error) {
	var table registryTable
	matched := ""
	for _, r := range c.Registry {
		if p := matchPrefix(ref.Name(), r.Prefix); p != "" && len(r.Prefix) >= len(table.Prefix) {
			table, matched = r, p
		}
	}
	if matched == "" {
		return []place{{host: ref.Domain, path: ref.Path}}, nil
	}
	if table.Blocked {
		return nil, fmt.Errorf("%w: registries.conf blocks %s", images.ErrDenied, table.Prefix)
	}
	var out []place
	at := func(location string, insecure bool) {
		if strings.HasPrefix(location, "*.") { // a wildcard stands for the host itself
			location = matched
		}
		host, path, _ := strings.Cut(location+strings.TrimPrefix(ref.Name(), matched), "/")
		out = append(out, place{host, path, insecure})
	}
	for _, m := range table.Mirror {
		onlyDigests := table.DigestOnly || m.Pull == "digest-only"
		if ref.Digest != "" && m.Pull != "tag-only" || ref.Digest == "" && !onlyDigests {
			at(m.Location, m.Insecure)
		}
	}
	at(table.Location, table.Insecure)
	return out, nil
}

// matchPrefix gives the part of name that prefix, with or without a leading
// "*.", stands for; "" where it does not match.
func matchPrefix(name, prefix string) string {
	if suffix, ok := strings.CutPrefix(prefix, "*"); ok {
		host, _, _ := strings.Cut(name, "/")
		if strings.HasSuffix(host, suffix) {
			return host
		}
		return ""
	}
	if rest, ok := strings.CutPrefix(name, prefix); ok && prefix != "" && (rest == "" || rest[0] == '/') {
		return prefix
	}
	return ""
}

// client makes the HTTP client for a place, with its certificates.
func (f Files) client(p place) (*http.Client, error) {
	conf := &tls.Config{InsecureSkipVerify: p.insecure} // as registries.conf says
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, dir := range f.CertDirs {
		names, _ := filepath.Glob(filepath.Join(dir, p.host, "*")) // a host has no pattern characters: ParseRef
		for _, name := range names {
			switch filepath.Ext(name) {
			case ".crt":
				data, err := os.ReadFile(name)
				if err != nil {
					return nil, err
				}
				roots.AppendCertsFromPEM(data)
			case ".cert":
				pair, err := tls.LoadX509KeyPair(name, strings.TrimSuffix(name, ".cert")+".key")
				if err != nil {
					return nil, err
				}
				conf.Certificates = append(conf.Certificates, pair)
			}
		}
	}
	conf.RootCAs = roots
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true}}, nil
}

// logins are by registry or namespace.
type logins map[string]*ociregistry.Login

// readLogins reads the files; of two logins for the same scope the first
// counts. Passwords that a helper program keeps are not found.
func readLogins(paths []string) (logins, error) {
	out := logins{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var file struct {
			Auths map[string]struct{ Auth string }
		}
		if err == nil {
			err = json.Unmarshal(data, &file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for scope, entry := range file.Auths {
			if scope == "https://index.docker.io/v1/" {
				scope = "docker.io"
			}
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			user, password, found := strings.Cut(string(plain), ":")
			if err == nil && found && out[scope] == nil {
				out[scope] = &ociregistry.Login{User: user, Password: password}
			}
		}
	}
	return out, nil
}

// find returns the login of the longest scope that holds p, or nil. A mirror does not get
// the login of the registry that it mirrors.
func (l logins) find(p place) *ociregistry.Login {
	for scope := p.host + "/" + p.path; ; {
		if login := l[scope]; login != nil {
			return login
		}
		i := strings.LastIndexByte(scope, '/')
		if i < 0 {
			return nil
		}
		scope = scope[:i]
	}
}
