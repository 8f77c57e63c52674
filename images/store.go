package images

import (
	"context"
	"errors"
	"io"
	"time"
)

// Image is an image in the store.
type Image struct {
	ID      string    `json:"id"`      // 64 hex digits
	Names   []string  `json:"names"`   // repository:tag, fully qualified
	Digests []string  `json:"digests"` // repository@sha256:…; what a registry calls it
	Created time.Time `json:"created"`
	// Size is what the image takes on disk, shared layers counted in full. An
	// image that is prepared counts twice, because its layers are there twice.
	Size       int64    `json:"size"`
	OS         string   `json:"os"`
	Arch       string   `json:"arch"` // as Go and OCI spell it: amd64, arm64
	User       string   `json:"user"`
	Env        []string `json:"env"`
	Cmd        []string `json:"cmd"`
	Entrypoint []string `json:"entrypoint"`
	// Labels come from whoever made the image: show them, never act on them.
	Labels map[string]string `json:"labels"`
}

// Store is podman's image store as this package needs it. Every method ends
// soon after its context does. Package images/podman implements it.
type Store interface {
	// Inspect finds an image by reference, short name or ID without touching
	// the network. An image that is not there is fail.NotFound.
	Inspect(ctx context.Context, ref string) (Image, error)
	// Pull fetches ref whether or not it is there already, reports each layer,
	// and gives the image. A failure is made by PullFailure.
	Pull(ctx context.Context, ref string, opts PullOptions, progress Progress) (Image, error)
	// Import makes an image named ref of the root file system in tar. An
	// error from tar ends it with no image made.
	Import(ctx context.Context, tar io.Reader, ref string, changes []string) (Image, error)
	// Build makes an image named b.Tag, reporting each line of the build.
	Build(ctx context.Context, b Build, progress Progress) (Image, error)
	// List gives all images. User, Env, Cmd, Entrypoint, OS and Arch are empty.
	List(ctx context.Context) ([]Image, error)
	// Users gives the names of the containers made from each image, by image ID.
	Users(ctx context.Context) (map[string][]string, error)
	// Remove takes the name ref from its image, and removes the image with its
	// last name. It never removes a container.
	Remove(ctx context.Context, ref string) error
	// Tag gives the image another name.
	Tag(ctx context.Context, id, ref string) error
	// Untag takes the name ref, which may be one with a digest, from the image,
	// which stays also without a name.
	Untag(ctx context.Context, id, ref string) error
	// Free is how many bytes the store's disk has left for this user.
	Free(ctx context.Context) (int64, error)
	// PrepareCost is how many bytes more Prepare takes on disk: 0 where the
	// layers are mapped already, or where the store need not copy them.
	PrepareCost(ctx context.Context, img Image) (int64, error)
	// Prepare maps the image's layers for the user namespace of toolboxes, so
	// that the first one made from it does not have to. It may be repeated.
	Prepare(ctx context.Context, id string) error
}

// Archives is a Store that writes images to archives, and makes images from them.
type Archives interface {
	// Save writes the image to an archive, in the format that keeps its ID.
	Save(ctx context.Context, id string, archive io.Writer) error
	// Load makes an image from Save's archive, without a name; see Nameless. Its ID
	// identifies its contents.
	Load(ctx context.Context, archive io.Reader) error
}

// PullOptions say how to pull; the zero value is podman's default for all.
type PullOptions struct {
	Platform string // OS/ARCH[/VARIANT]
	// AuthFile is a containers-auth.json(5) instead of what podman login
	// wrote. The service does not see the caller's $REGISTRY_AUTH_FILE.
	AuthFile string
	// SignaturePolicy is a containers-policy.json(5) that decides instead of
	// podman's own. Bytes are not reported then: it takes the podman command,
	// because the service has no such option, and the command tells a program
	// of complete layers only.
	SignaturePolicy string
	// Quiet is how long the registry may send nothing before the pull is
	// given up as stalled. 0 means DefaultQuiet.
	Quiet time.Duration
	// Unprepared leaves the preparation to the first toolbox. The store does
	// not look at it; Pull and Ensure do.
	Unprepared bool
}

// DefaultQuiet is longer than podman's own three retries of a dead connection.
const DefaultQuiet = 90 * time.Second

// Stage is a step of getting an image.
type Stage string

// The stages, in the order in which they come.
const (
	StageConnect   Stage = "connect"   // asking the registry
	StageDownload  Stage = "download"  // Layer, Done and Total count one layer's compressed bytes
	StageUnpack    Stage = "unpack"    // all bytes are here, podman writes them out
	StageBootstrap Stage = "bootstrap" // Text is a line of the tool; Done counts bytes of the root file system
	StagePrepare   Stage = "prepare"   // mapping layers for the user namespace; Total is what they take more on disk
	StageBuild     Stage = "build"     // Text is a line of the build
	StageWarning   Stage = "warning"   // at any time: Text is a sentence that the user should see
)

// Event is one step of progress.
type Event struct {
	Stage Stage
	Layer string // first 12 digits of the layer's digest, in StageDownload
	Done  int64  // bytes
	Total int64  // bytes; 0 while unknown
	Text  string // one line from outside: escape it before printing
}

// Progress gets events from one goroutine at a time. It must not block for long. A nil
// Progress is allowed.
type Progress func(Event)

// Report passes an event to p, which may be nil.
func (p Progress) Report(e Event) {
	if p != nil {
		p(e)
	}
}

// The reasons of a failed pull, as far as they are known. Test with errors.Is.
var (
	ErrUnreachable = errors.New("registry not reachable")         // name, route, connection
	ErrStalled     = errors.New("registry stopped sending")       // connected, then silence
	ErrServer      = errors.New("registry failed")                // 5xx, connection closed in the middle
	ErrDenied      = errors.New("registry refuses access")        // 401, 403
	ErrThrottled   = errors.New("registry asks to slow down")     // 429
	ErrNoManifest  = errors.New("registry has no such image")     // repository, tag or digest unknown
	ErrNoPlatform  = errors.New("no image for this architecture") // in a manifest list
	ErrTLS         = errors.New("registry's certificate not trusted")
	ErrCorrupt     = errors.New("registry sent other data than it announced") // digest mismatch
	ErrDiskFull    = errors.New("disk full")
	ErrNoRegistry  = errors.New("the answer did not come from a registry") // a login page, a redirect to itself
	ErrPolicy      = errors.New("signature policy refuses the image")
	ErrSettings    = errors.New("podman's own settings are in the way") // registries.conf and its neighbours
)
