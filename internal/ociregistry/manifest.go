package ociregistry

import (
	"encoding/json"
	"mime"
	"runtime"
)

const (
	typeIndex = "application/vnd.oci.image.index.v1+json"
	typeList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Manifest is a registry's answer.
type Manifest struct {
	Type   string // its media type
	Digest string // computed after a GET; after a HEAD the registry's own, which may be missing
	Body   []byte // empty after a HEAD
}

// Contents is the part of an index, or of one image's manifest, that tbx reads: the
// fields of the other are empty.
type Contents struct {
	Config    struct{ Size int64 }
	Layers    []struct{ Size int64 }
	Manifests []struct {
		Digest   string
		Platform struct{ OS, Architecture, Variant string }
	}
}

// IsIndex reports, by its type, whether it lists the images of several machines.
func (m Manifest) IsIndex() bool {
	kind, _, err := mime.ParseMediaType(m.Type)
	return err == nil && (kind == typeIndex || kind == typeList)
}

// Contents parses the body.
func (m Manifest) Contents() (Contents, error) {
	var c Contents
	err := json.Unmarshal(m.Body, &c)
	return c, err
}

// Instance returns the digest for a platform, OS/ARCH or OS/ARCH/VARIANT; "" means this
// machine's. Of several variants it takes the first. It returns "" if the index has none.
func (c Contents) Instance(platform string) string {
	if platform == "" {
		platform = "linux/" + runtime.GOARCH
	}
	for _, m := range c.Manifests {
		p := m.Platform
		if name := p.OS + "/" + p.Architecture; name == platform || name+"/"+p.Variant == platform {
			return m.Digest
		}
	}
	return ""
}

// Size returns how much a pull of one image downloads at most, in bytes.
func (c Contents) Size() int64 {
	total := c.Config.Size
	for _, l := range c.Layers {
		total += l.Size
	}
	return total
}
