package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Source is the parsed source that a host follows: a ref of OSTree, or a scheme, a
// transport and an image. Only [ParseSource] distinguishes them; upgrade, switch, check,
// doctor and build use it.
type Source struct {
	Text      string // as the updater writes it
	Class     SourceClass
	Scheme    string // "ostree-image-signed"; empty for refs, and where the updater writes none
	Remote    string // of a ref, or of the keys of ostree-remote-*
	Transport string // of an image: registry, containers-storage, oci, oci-archive, docker-archive, docker-daemon, dir
	Name      string // the ref or commit, or the image without its digest
	Digest    string // "sha256:…" that the image is pinned to
}

// SourceClass is the kind of a source.
type SourceClass string

// The classes. Only a ref or an image can have news.
const (
	SourceNone    SourceClass = "none"    // no origin: it is gone, or was never written
	SourceRef     SourceClass = "ref"     // a branch of an OSTree repository
	SourceCommit  SourceClass = "commit"  // one commit, which never changes
	SourceImage   SourceClass = "image"   // a tag in a registry
	SourcePinned  SourceClass = "pinned"  // one image by its digest, which never changes
	SourceLocal   SourceClass = "local"   // an image in this machine's storage
	SourceArchive SourceClass = "archive" // an image in a file or directory
	SourceOther   SourceClass = "other"   // something that tbx does not know
)

var (
	commitForm    = pattern.Lazy(`^[0-9a-f]{64}$`)
	remoteForm    = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	portForm      = pattern.Lazy(`^[0-9]{1,5}(/|$)`)
	digestAtEnd   = pattern.Lazy(`@(sha256:[0-9a-f]{64})$`)
	transportForm = pattern.Lazy(`^(registry|docker|containers-storage|oci|oci-archive|docker-archive|docker-daemon|dir):(?://)?(.+)$`)
)

// imageSchemes are those of ostree-rs-ext, with their treatment of signatures.
var imageSchemes = []string{"ostree-image-signed", "ostree-unverified-image", "ostree-unverified-registry", "ostree-remote-image",
	"ostree-remote-registry"}

// ParseSource parses the source as an updater writes it: an origin with a scheme of
// ostree-rs-ext, a transport and an image as bootc writes it, a plain image, a ref with
// or without a remote, or a commit.
func ParseSource(text string) Source {
	s := Source{Text: text, Name: text}
	if text == "" || strings.HasPrefix(text, "<") {
		s.Class = SourceNone
		return s
	}
	if commitForm().MatchString(text) {
		s.Class = SourceCommit
		return s
	}
	rest := text
	if scheme, after, ok := strings.Cut(text, ":"); ok && slices.Contains(imageSchemes, scheme) {
		s.Scheme, rest = scheme, after
		if strings.HasPrefix(scheme, "ostree-remote-") {
			if s.Remote, rest, ok = strings.Cut(after, ":"); !ok {
				s.Class = SourceOther
				return s
			}
		}
		if strings.HasSuffix(scheme, "-registry") {
			rest = "registry:" + rest
		}
		return s.image(rest)
	}
	if transportForm().MatchString(text) || looksLikeImage(text) {
		return s.image(rest)
	}
	s.Class = SourceRef
	if remote, ref, ok := strings.Cut(text, ":"); ok {
		s.Remote, s.Name = remote, ref
	}
	return s
}

// image parses a transport and a name, or a name alone.
func (s Source) image(rest string) Source {
	s.Transport, s.Name = "registry", rest
	if m := transportForm().FindStringSubmatch(rest); m != nil {
		s.Transport, s.Name = m[1], m[2]
	} else if s.Scheme != "" {
		s.Class = SourceOther
		return s
	}
	if s.Transport == "docker" {
		s.Transport = "registry"
	}
	if m := digestAtEnd().FindStringSubmatch(s.Name); m != nil && s.Transport == "registry" {
		s.Digest, s.Name = m[1], strings.TrimSuffix(s.Name, m[0])
	}
	switch {
	case strings.Trim(s.Name, "/") == "":
		s.Class = SourceOther
	case s.Transport == "containers-storage" || s.Transport == "docker-daemon",
		s.Transport == "registry" && strings.HasPrefix(s.Name, "localhost/"):
		s.Class = SourceLocal
	case s.Transport != "registry":
		s.Class = SourceArchive
	case s.Digest != "":
		s.Class = SourcePinned
	default:
		s.Class = SourceImage
	}
	return s
}

// looksLikeImage distinguishes HOST/NAME:TAG from REMOTE:REF and from a ref: its first
// part is a host's name with a dot or a port, or localhost.
func looksLikeImage(text string) bool {
	host, _, slash := strings.Cut(text, "/")
	if !slash {
		return false
	}
	name, port, colon := strings.Cut(host, ":")
	switch {
	case colon && portForm().MatchString(port):
		return true
	case colon: // REMOTE:REF/…
		return false
	}
	return strings.Contains(name, ".") || name == "localhost"
}

// Image returns the source as the image of a deployment; nil if it is not an image.
func (s Source) Image() *Image {
	if s.Transport == "" || s.Class == SourceOther {
		return nil
	}
	im := &Image{Reference: s.Name, Transport: s.Transport, Signature: "unknown"}
	if s.Digest != "" {
		im.Reference += "@" + s.Digest
	}
	switch {
	case s.Scheme == "ostree-image-signed":
		im.Signature = "policy"
	case strings.HasPrefix(s.Scheme, "ostree-unverified-"):
		im.Signature = "insecure"
	case s.Remote != "":
		im.Signature = "remote:" + s.Remote
	}
	return im
}

// ParseImage parses a container origin of ostree-rs-ext; nil if it is not one.
func ParseImage(origin string) *Image {
	s := ParseSource(origin)
	if s.Scheme == "" {
		return nil
	}
	return s.Image()
}

// NoNews returns ErrUnsupported, with a remedy, if the source can never have news; nil if
// it can. custom is the host's own text about who manages it; it may be empty.
func (s Source) NoNews(custom []string) error {
	whose := ""
	if len(custom) > 0 {
		whose = " (" + strings.Join(custom, "; ") + ")"
	}
	fixed := func(what string) *fail.Error {
		return fail.New(ErrUnsupported, "the host follows %s%s and would never see an update", what, whose)
	}
	next := "choose what to follow: tbx host switch REF|IMAGE"
	switch s.Class {
	case SourceNone:
		return fail.New(ErrUnsupported, "the host follows nothing%s: its system has no origin that could be read", whose).Hint("%s", next)
	case SourceCommit:
		return fixed("the single commit "+s.Name[:12]).Hint("%s", next)
	case SourcePinned:
		e := fixed("one image by its digest, " + s.Name + "@" + s.Digest[:19] + "…")
		if len(custom) > 0 {
			e.Hint("whoever manages it moves it to the next image; see its own agent")
		}
		return e.Hint("to follow a tag: tbx host switch IMAGE:TAG")
	case SourceLocal:
		return fail.New(ErrUnsupported, "the host follows %s of this machine's own storage%s: nothing newer comes from elsewhere", s.Name, whose).
			Hint("build it again: sudo tbx host build DIRECTORY").Hint("what is in that storage now is taken by: tbx host upgrade").
			Hint("or choose what to follow: tbx host switch IMAGE")
	case SourceArchive:
		return fail.New(ErrUnsupported, "the host follows the image in %s:%s%s: nothing newer comes from elsewhere", s.Transport, s.Name, whose).
			Hint("put a newer image there and name it again: sudo tbx host switch %s:%s; what is there now is taken by: tbx host upgrade",
				s.Transport, s.Name).
			Hint("or follow a registry again: tbx host switch IMAGE")
	case SourceOther:
		return fail.New(ErrUnsupported, "the host follows %q%s, which tbx does not know", s.Text, whose).Hint("%s", next)
	}
	return nil
}

// To returns the new source of a host that follows s, after `switch target`, as
// rpm-ostree and ostree-rs-ext write it. remotes are the names of the host's OSTree
// remotes, if known. A target without a scheme keeps the signature policy of s; one that
// needs a choice of policy is refused.
func (s Source) To(target string, remotes []string) (Source, error) {
	to := ParseSource(target)
	remote, ref, colon := strings.Cut(target, ":")
	if colon && slices.Contains(remotes, remote) { // a remote that is there, whatever its name looks like
		return Source{Text: target, Class: SourceRef, Remote: remote, Name: ref}, nil
	}
	switch to.Class {
	case SourceRef:
		if to.Remote == "" && s.Class == SourceRef && s.Remote != "" {
			return ParseSource(s.Remote + ":" + target), nil
		}
		if to.Remote == "" && s.Class != SourceRef && s.Class != SourceNone {
			return to, fail.New(fail.Usage, "switch: %q is neither a ref with its remote nor an image with its registry", target).
				Hint("a ref: tbx host switch REMOTE:REF; an image: tbx host switch REGISTRY/NAME:TAG")
		}
		if to.Remote != "" && !remoteForm().MatchString(to.Remote) {
			return to, fail.New(fail.Usage, "switch: %q is neither a ref nor an image", target).
				Hint("an image needs its registry: REGISTRY/NAME:TAG")
		}
		return to, nil
	case SourceNone, SourceOther:
		return to, fail.New(fail.Usage, "switch: %q is neither a ref nor an image", target).Hint("an image needs its registry: REGISTRY/NAME:TAG")
	}
	if to.Scheme != "" {
		return to, nil
	}
	return s.imageTo(to)
}

// imageTo gives an image without a scheme the policy of s.
func (s Source) imageTo(to Source) (Source, error) {
	from := to.Transport + ":"
	if to.Transport == "registry" {
		from = "docker://"
	}
	name := to.Name
	if to.Digest != "" {
		name += "@" + to.Digest
	}
	switch {
	case to.Class == SourceLocal || to.Class == SourceArchive:
		if to.Transport == "registry" {
			from = "containers-storage:"
		}
		return ParseSource("ostree-unverified-image:" + from + name), nil // what is on this machine has no registry's signature
	case s.Class == SourceLocal || s.Class == SourceArchive: // its rule is for no registry
	case s.Scheme == "ostree-unverified-registry" || s.Scheme == "ostree-remote-registry":
		return ParseSource(strings.TrimSuffix(s.Text, s.nameAndDigest()) + name), nil
	case s.Scheme == "ostree-remote-image":
		return ParseSource(s.Scheme + ":" + s.Remote + ":" + from + name), nil
	case s.Scheme != "":
		return ParseSource(s.Scheme + ":" + from + name), nil
	}
	return to, fail.New(fail.Usage, "switch: the host follows no image of a registry, so that it has no rule for the signatures of %s",
		to.Text).
		Hint("have the policy of /etc/containers/policy.json checked: tbx host switch ostree-image-signed:docker://%s", name).
		Hint("or take it without a signature: tbx host switch ostree-unverified-registry:%s", name)
}

func (s Source) nameAndDigest() string {
	if s.Digest != "" {
		return s.Name + "@" + s.Digest
	}
	return s.Name
}

// Same reports whether both are the same source, however they are written.
func (s Source) Same(o Source) bool {
	return s.Class == o.Class && s.Remote == o.Remote && s.Transport == o.Transport && s.Name == o.Name && s.Digest == o.Digest &&
		(s.Scheme == o.Scheme || s.Scheme == "" || o.Scheme == "")
}
