package images

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// PullPolicy says when to ask the registry.
type PullPolicy string

// The policies of --pull, as podman has them.
const (
	PullMissing PullPolicy = "missing" // only when the image is not there: the default
	PullAlways  PullPolicy = "always"  // each time; a registry that does not answer is an error
	PullNewer   PullPolicy = "newer"   // each time; without an answer, the image that is there
	PullNever   PullPolicy = "never"
)

// ParsePullPolicy reads the value of --pull; "" is PullMissing.
func ParsePullPolicy(s string) (PullPolicy, error) {
	switch p := PullPolicy(s); p {
	case "":
		return PullMissing, nil
	case PullMissing, PullAlways, PullNewer, PullNever:
		return p, nil
	}
	return "", fail.New(fail.Usage, "pull policy %s: it must be missing, always, newer or never", escape.Quote(s))
}

// Question is a question that Ensure asks before a long operation.
type Question struct {
	Kind      QuestionKind
	Reference string // what would be downloaded or made
	Bytes     int64  // the image to download or make
	Free      int64  // in AskPull: bytes left on the store's disk; 0 when Bytes is
	Tool      string // in AskBootstrap: the program that would make it
	Cause     error  // in AskBootstrap: why there was no pull
}

// QuestionKind tells the questions apart.
type QuestionKind string

// The questions.
const (
	AskPull      QuestionKind = "pull"
	AskBootstrap QuestionKind = "bootstrap"
)

// EnsureOptions are the choices and helpers of Ensure.
type EnsureOptions struct {
	Policy PullPolicy // "" is PullMissing
	Pull   PullOptions
	// Ask answers a Question; false means no. If nobody can answer, it returns an error
	// of kind fail.NeedAnswer. It must not be nil.
	Ask       func(Question) (bool, error)
	Registry  Registry         // says how large a download will be; may be nil, unless Trust is set
	Bootstrap BootstrapOptions // its StateDir also keeps the records of pulls
	// Trust, if set, refuses every image that no trusted key or keyring has verified,
	// unless UnsignedOK is set.
	Trust      *Trust
	UnsignedOK bool
	Progress   Progress
}

// Ensure returns the image of ch, and gets it if necessary. A local image is used without
// the network. Otherwise it is pulled; if no registry can be reached and the distribution
// can be bootstrapped, that is offered. A fetched image is prepared, so that toolboxes
// start at once.
func Ensure(ctx context.Context, store Store, ch Choice, opts EnsureOptions) (Image, error) {
	here, name, err := find(ctx, store, ch)
	missing := errors.Is(err, fail.NotFound)
	if err != nil && !missing {
		return Image{}, err
	}
	if !missing && opts.Policy != PullAlways && opts.Policy != PullNewer {
		return here, opts.vouched(here, name)
	}
	if opts.Policy == PullNever {
		return Image{}, fail.New(fail.NotFound, "image %s: it is not in the local store", ch.Reference).
			Hint("leave out --pull never to download it")
	}
	if ref, err := ParseRef(ch.Reference); err != nil {
		return Image{}, err
	} else if ref.Local() {
		if !missing {
			return here, opts.vouched(here, name) // there is no registry to ask
		}
		return Image{}, notHere(ch.Reference)
	}
	if missing {
		q, err := weigh(ctx, store, ch.Reference, opts)
		if err == nil {
			err = ask(opts, q)
		}
		if err != nil {
			return Image{}, err
		}
	}
	img, err := opts.pull(ctx, store, ch.Reference)
	if errors.Is(err, ErrStalled) && ctx.Err() == nil && opts.Registry != nil {
		// podman waits in silence for as long as a 429 tells it to.
		if _, said := opts.Registry.Digest(ctx, ch.Reference); errors.Is(said, ErrThrottled) {
			err = said
		}
	}
	switch {
	case err == nil:
		return img, nil
	case ctx.Err() != nil || !errors.Is(err, ErrUnreachable):
		return Image{}, err
	case !missing && opts.Policy == PullNewer:
		return here, opts.vouched(here, name)
	case !missing || ch.Bootstrap == nil:
		return Image{}, err
	}
	has, toolErr := ch.Bootstrap.means(ch.Suite)
	if toolErr != nil {
		// The registry is the cause; the tool is one way out of it.
		return Image{}, fail.Wrap(nil, err, "").Hint("without a registry it could be made from the package mirror, but %v", toolErr)
	}
	if err := ask(opts, Question{Kind: AskBootstrap, Reference: ch.Local, Tool: has.tool, Cause: err}); err != nil {
		return Image{}, err
	}
	return Bootstrap(ctx, store, ch, opts.Bootstrap, opts.Progress)
}

// weigh asks for the size of the download and refuses one that does not fit. If the
// registry does not tell the size, the pull goes on.
func weigh(ctx context.Context, store Store, ref string, opts EnsureOptions) (Question, error) {
	q := Question{Kind: AskPull, Reference: ref}
	if opts.Registry == nil {
		return q, nil
	}
	bytes, err := opts.Registry.Size(ctx, ref, opts.Pull.Platform)
	if err != nil {
		return q, nil
	}
	free, err := store.Free(ctx)
	if err != nil {
		return q, nil
	}
	q.Bytes, q.Free = bytes, free
	// The compressed layers, the layers unpacked and the layers mapped: each
	// is at least as large as the download.
	if least := 3 * bytes; least > free {
		return q, PullFailure(ref, fmt.Errorf("%w: it needs more than %s and there are %s", ErrDiskFull,
			bytesize.Text(least), bytesize.Text(free)))
	}
	return q, nil
}

// pull fetches ref with or without a check of its signature, as the options demand.
func (o EnsureOptions) pull(ctx context.Context, store Store, ref string) (Image, error) {
	f := Fetcher{Store: store, Registry: o.Registry, StateDir: o.Bootstrap.StateDir, Progress: o.Progress}
	if o.Trust == nil || o.UnsignedOK {
		return f.Pull(ctx, ref, o.Pull)
	}
	f.Trust = *o.Trust
	return f.PullVerified(ctx, ref, o.Pull)
}

// vouched refuses an unverified image.
func (o EnsureOptions) vouched(img Image, asked string) error {
	if o.Trust == nil || o.UnsignedOK {
		return nil
	}
	_, ok, err := o.Trust.Vouched(ProvenancesIn(o.Bootstrap.StateDir), img, asked)
	if err != nil {
		return fmt.Errorf("image %s: its provenance: %w", img.name(), err)
	}
	if !ok {
		return fail.Wrap(fail.Unable, ErrPolicy, "image %s: a signature is required, and it has none that is trusted", escape.Text(asked)).
			Hint("--pull always fetches it anew and checks its signature; --unsigned-ok takes it as it is")
	}
	return nil
}

// find looks for ch in the store: under its own name, then as bootstrapped. name is the
// name that was found.
func find(ctx context.Context, store Store, ch Choice) (img Image, name string, err error) {
	img, err = store.Inspect(ctx, ch.Reference)
	if errors.Is(err, fail.NotFound) && ch.Local != "" {
		img, err = store.Inspect(ctx, ch.Local)
		return img, ch.Local, err
	}
	return img, ch.Reference, err
}

func notHere(ref string) error {
	return fail.New(fail.NotFound, "image %s: it is not in the local store, and no registry has such a name", escape.Text(ref)).
		Hint("tbx image list shows the images that are here")
}

func ask(opts EnsureOptions, q Question) error {
	yes, err := opts.Ask(q)
	if err == nil && !yes {
		err = fail.New(fail.Canceled, "image %s: not fetched", q.Reference)
	}
	return err
}

// name is the image's name in messages.
func (i Image) name() string {
	if len(i.Names) > 0 {
		return escape.Text(i.Names[0])
	}
	return i.ID[:min(12, len(i.ID))]
}

// Digest is the digest under which a registry knows the image, or "".
func (i Image) Digest() string {
	if len(i.Digests) == 0 {
		return ""
	}
	_, digest, _ := strings.Cut(i.Digests[0], "@")
	return digest
}
