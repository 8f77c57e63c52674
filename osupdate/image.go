package osupdate

import "strings"

// ParseImage reads a container origin as ostree-rs-ext writes it:
// ostree-image-signed:T:R, ostree-unverified-image:T:R,
// ostree-unverified-registry:R, ostree-remote-image:NAME:T:R and
// ostree-remote-registry:NAME:R, where T:R is docker://R, registry:R or another
// transport. nil when it is none of these.
func ParseImage(origin string) *Image {
	scheme, rest, ok := strings.Cut(origin, ":")
	if !ok {
		return nil
	}
	im := &Image{}
	registry := false
	switch scheme {
	case "ostree-image-signed":
		im.Signature = "policy"
	case "ostree-unverified-image":
		im.Signature = "insecure"
	case "ostree-unverified-registry":
		im.Signature, registry = "insecure", true
	case "ostree-remote-image", "ostree-remote-registry":
		name, after, ok := strings.Cut(rest, ":")
		if !ok {
			return nil
		}
		im.Signature, rest, registry = "remote:"+name, after, scheme == "ostree-remote-registry"
	default:
		return nil
	}
	im.Transport = "registry"
	if !registry {
		transport, name, ok := strings.Cut(rest, ":")
		if !ok {
			return nil
		}
		rest = name
		if transport != "docker" && transport != "registry" {
			im.Transport = transport
		}
	}
	im.Reference = strings.TrimPrefix(rest, "//")
	if im.Reference == "" {
		return nil
	}
	return im
}

// SameScheme writes another image the way origin names its own, so that a switch
// keeps the signature policy.
func SameScheme(origin, reference string) string {
	im := ParseImage(origin)
	if im == nil || ParseImage(reference) != nil {
		return reference
	}
	return strings.TrimSuffix(origin, im.Reference) + reference
}
