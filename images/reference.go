package images

import (
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Ref is a parsed image reference. Only [ParseRef] makes one from outside text.
type Ref struct {
	Domain string // registry host with optional port; "" for a short name, which podman completes from registries.conf
	Path   string // repository below the domain, e.g. "library/debian"; "" when ID is set
	Tag    string // "" when none was given
	Digest string // algorithm:hex, "" when none was given
	ID     string // 64 hex digits of an image in the local store; then all else is empty
}

// maxName is the longest name, domain included, that the grammar allows.
const maxName = 255

// ParseRef reads s by the grammar of the OCI distribution reference
// (github.com/distribution/reference, reference.go) or as a full image ID. It
// adds nothing: a short name stays short and a missing tag stays missing.
func ParseRef(s string) (Ref, error) {
	bad := func(why string) (Ref, error) {
		return Ref{}, fail.New(fail.Usage, "image reference %s: %s", escape.Quote(s), why).
			Hint("a reference looks like registry.example.org/team/image:tag or image@sha256:…")
	}
	if id := strings.TrimPrefix(s, "sha256:"); len(id) == 64 && all(id, isLowerHex) {
		return Ref{ID: id}, nil
	}
	if transport, _, found := strings.Cut(s, "://"); found {
		return bad("it names the transport " + escape.Quote(transport) + ", but images come from registries only; leave out everything up to ://")
	}
	var r Ref
	rest, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		if !validDigest(digest) {
			return bad("the part behind @ is not a digest such as sha256: and 64 hexadecimal digits")
		}
		r.Digest = digest
	}
	// A colon behind the last slash starts the tag; one before it, a port.
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		r.Tag, rest = rest[i+1:], rest[:i]
		if !validTag(r.Tag) {
			return bad("the tag behind the last colon must be 1 to 128 letters, digits, _ . or -, and not start with . or -")
		}
	}
	switch {
	case rest == "":
		return bad("it names no image")
	case len(rest) > maxName:
		return bad("its name is longer than 255 bytes")
	}
	r.Path = rest
	if first, path, found := strings.Cut(rest, "/"); found && looksLikeDomain(first) {
		r.Domain, r.Path = first, path
		if !validDomain(r.Domain) {
			return bad("the registry " + escape.Quote(r.Domain) + " is not a host name with an optional port")
		}
	}
	for part := range strings.SplitSeq(r.Path, "/") {
		if !validPathPart(part) {
			if strings.ToLower(part) != part {
				return bad("the name must be in lower case")
			}
			return bad("its part " + escape.Quote(part) + " must be lower-case letters and digits, separated by one of . or _, by __ or by dashes")
		}
	}
	return r, nil
}

// MaybeID reports whether s could be the beginning of an image's ID, as podman images
// prints it. It could also be a short name.
func MaybeID(s string) bool { return s != "" && len(s) < 64 && all(s, isLowerHex) }

// String is the reference as it was given.
func (r Ref) String() string {
	if r.ID != "" {
		return r.ID
	}
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Name is the reference without tag and digest; "" for an ID.
func (r Ref) Name() string {
	if r.Domain == "" {
		return r.Path
	}
	return r.Domain + "/" + r.Path
}

// Tagged is the reference with the tag that one without tag and digest means.
func (r Ref) Tagged() Ref {
	if r.ID == "" && r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r
}

// Base is the last part of the name, e.g. "fedora-toolbox".
func (r Ref) Base() string { return r.Path[strings.LastIndexByte(r.Path, '/')+1:] }

// Short reports whether podman must complete the name from registries.conf.
func (r Ref) Short() bool { return r.Domain == "" && r.ID == "" }

// Local reports whether the reference can only be in the local store.
func (r Ref) Local() bool { return r.Domain == "localhost" || r.ID != "" }

// looksLikeDomain distinguishes a registry from the first part of a path, like every
// container tool: it has a dot or a colon, or is "localhost".
func looksLikeDomain(s string) bool {
	return s == "localhost" || strings.ContainsAny(s, ".:")
}

// validDomain admits no IPv6 address, as podman's own parser does not.
func validDomain(s string) bool {
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		var port string
		host, port = s[:i], s[i+1:]
		if port == "" || !all(port, isDigit) {
			return false
		}
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' ||
			!all(label, func(c byte) bool { return isAlnum(c) || c == '-' }) {
			return false
		}
	}
	return true
}

// validPathPart: runs of lower-case letters and digits with ".", "_", "__" or
// any number of dashes between two runs.
func validPathPart(s string) bool {
	for s != "" {
		run := span(s, isLowerAlnum)
		if run == 0 {
			return false
		}
		if s = s[run:]; s == "" {
			return true
		}
		sep := span(s, func(c byte) bool { return !isLowerAlnum(c) })
		switch between := s[:sep]; {
		case between == "." || between == "_" || between == "__" || strings.Trim(between, "-") == "":
			s = s[sep:]
		default:
			return false
		}
	}
	return false // empty, or ends with a separator
}

func validTag(s string) bool {
	return s != "" && len(s) <= 128 && s[0] != '.' && s[0] != '-' &&
		all(s, func(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' })
}

// validDigest admits the algorithms that the OCI image specification registers,
// each with its length.
func validDigest(s string) bool {
	algorithm, hex, _ := strings.Cut(s, ":")
	length := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	return length > 0 && len(hex) == length && all(hex, isLowerHex)
}

func all(s string, is func(byte) bool) bool { return span(s, is) == len(s) }

// span counts the leading bytes that is accepts.
func span(s string, is func(byte) bool) int {
	for i := range len(s) {
		if !is(s[i]) {
			return i
		}
	}
	return len(s)
}

func isDigit(c byte) bool      { return c >= '0' && c <= '9' }
func isLowerAlnum(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || c >= 'A' && c <= 'Z' }
func isLowerHex(c byte) bool   { return isDigit(c) || c >= 'a' && c <= 'f' }
