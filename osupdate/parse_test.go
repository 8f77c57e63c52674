package osupdate_test

import (
	"bytes"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

func TestParseImage(t *testing.T) {
	for origin, want := range map[string]*osupdate.Image{
		"ostree-image-signed:docker://quay.io/a/b:1":             {Reference: "quay.io/a/b:1", Transport: "registry", Signature: "policy"},
		"ostree-image-signed:registry:quay.io/a/b:1":             {Reference: "quay.io/a/b:1", Transport: "registry", Signature: "policy"},
		"ostree-unverified-registry:quay.io/a/b":                 {Reference: "quay.io/a/b", Transport: "registry", Signature: "insecure"},
		"ostree-unverified-image:containers-storage:localhost/x": {Reference: "localhost/x", Transport: "containers-storage", Signature: "insecure"},
		"ostree-remote-image:fedora:docker://quay.io/a/b:1":      {Reference: "quay.io/a/b:1", Transport: "registry", Signature: "remote:fedora"},
		"ostree-remote-registry:fedora:quay.io/a/b:1":            {Reference: "quay.io/a/b:1", Transport: "registry", Signature: "remote:fedora"},
		"fedora:fedora/43/x86_64/silverblue":                     nil,
		"ostree-image-signed:":                                   nil,
		"ostree-remote-image:fedora":                             nil,
		"":                                                       nil,
	} {
		got := osupdate.ParseImage(origin)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %+v", origin, got)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add([]byte("[origin]\nrefspec=a:b\n\n[libostree-transient]\npinned=true\n"))
	f.Add([]byte("[origin]\ncontainer-image-reference=ostree-image-signed:docker://x/y\n[packages]\nrequested=vim;zsh;\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := osupdate.ParseOrigin(in)
		if err != nil {
			return
		}
		osupdate.ParseImage(o.Tracks())
		again, err := osupdate.ParseOrigin(o.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), o.Bytes()) || again.Changed() != o.Changed() {
			t.Errorf("written and read again it differs: %q, %v", o.Bytes(), err)
		}
	})
}
