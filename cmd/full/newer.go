package full

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/images"
	imageregistry "github.com/tbx-project/tbx/images/registry"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/registry"
)

// updaterFiles are the files that an updater, which runs as root, reads: mirrors and
// registries without TLS, certificates, and the logins of ostree-container-auth(5). A
// user's own logins come last: the check may then be allowed where the updater is not,
// and the upgrade reports that.
func updaterFiles(root string) imageregistry.Files {
	conf := filepath.Join(root, "etc/containers")
	dropIns, _ := filepath.Glob(filepath.Join(conf, "registries.conf.d/*.conf")) // sorted; the pattern is well-formed
	f := imageregistry.Files{
		RegistriesConf: append([]string{filepath.Join(conf, "registries.conf")}, dropIns...),
		CertDirs:       []string{filepath.Join(conf, "certs.d"), filepath.Join(root, "etc/docker/certs.d")},
	}
	for _, name := range []string{"etc/ostree/auth.json", "run/ostree/auth.json", "usr/lib/ostree/auth.json"} {
		path := filepath.Join(root, name)
		if file, err := os.Open(path); err == nil { // root's, which others may not be able to read
			file.Close()
			f.Auth = append(f.Auth, path)
		}
	}
	return f
}

// newerImage asks an image's registry, with the host's configuration of registries.
// Without a configuration, one request is enough.
func newerImage(ctx context.Context, reference, digest string) (string, error) {
	files := updaterFiles("/")
	if len(files.Auth) == 0 && !slices.ContainsFunc(files.RegistriesConf, exists) {
		return registry.Newer(ctx, http.DefaultClient, reference, digest)
	}
	return newerBy(ctx, files, reference, digest)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// newerBy returns the digest of the image that reference names now for this machine, or
// "" if it is digest.
func newerBy(ctx context.Context, files imageregistry.Files, reference, digest string) (string, error) {
	client, err := imageregistry.New(files)
	if err != nil {
		return "", fail.Wrap(osupdate.ErrBadOutput, err, "the host's configuration of registries cannot be read").
			Hint("see /etc/containers/registries.conf")
	}
	named, own, err := client.Instance(ctx, reference)
	switch {
	case err == nil && (named == digest || own == digest):
		return "", nil
	case err == nil:
		return own, nil
	}
	return "", registryProblem(reference, err)
}

// registryProblem turns a registry's failure into a kind of failure of a host's update.
func registryProblem(reference string, err error) error {
	for _, k := range []struct {
		of   error
		kind *osupdate.Problem
		what string
		hint string
	}{
		{images.ErrDenied, osupdate.ErrPermission, "the registry does not allow this user to look",
			"root has the registry's credentials: sudo tbx host check"},
		{images.ErrNoManifest, osupdate.ErrNotFound, "the registry does not have it", "follow another one: tbx host switch IMAGE"},
		{images.ErrNoPlatform, osupdate.ErrNotFound, "there is none for this machine", "follow another one: tbx host switch IMAGE"},
		{images.ErrSettings, osupdate.ErrBadOutput, "the host's configuration of registries does not allow it",
			"see /etc/containers/registries.conf"},
	} {
		if errors.Is(err, k.of) {
			return fail.Wrap(k.kind, err, "image %s: %s", reference, k.what).Hint("%s", k.hint)
		}
	}
	return fail.Wrap(osupdate.ErrNetwork, err, "image %s: the registry cannot be asked", reference).Hint("check the network and try again")
}
