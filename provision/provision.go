package provision

import (
	"context"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/toolbox"
)

// Provisioner holds what its methods need. All fields are required except Trust.
type Provisioner struct {
	Toolboxes *toolbox.Manager
	// Store connects to podman's images; it is called when they are needed.
	Store func(context.Context) (images.Store, error)
	// Archives is the same store, for files with images in them.
	Archives func(context.Context) (images.Archives, error)
	// Catalogue returns the known distributions and the host's own release.
	Catalogue func() (*images.Catalogue, images.HostOS, error)
	// Default is what the configuration says of the image of a new toolbox.
	Default images.Request
	// Registry returns the registries, with the credentials in the file authFile; "" is
	// the user's own.
	Registry func(authFile string) images.Registry
	// Trust, where set, refuses an image that nobody has signed with a trusted key.
	Trust *images.Trust
	// Keep says which of the snapshots stay that tbx makes by itself.
	Keep toolbox.Retention
	// StateDir keeps the records of images. It is made when something is written there.
	StateDir string
	// Stall is how long a download may stand still.
	Stall time.Duration

	// Ask puts a question; false is a no. Where nobody can be asked it returns an
	// error of kind fail.NeedAnswer.
	Ask func(images.Question) (bool, error)
	// Progress shows what happens to an image.
	Progress images.Progress
	// Warn shows a warning and what to do about it; hint may be empty.
	Warn func(text, hint string)
}
