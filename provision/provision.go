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
	// Store connects to podman's images, when they are needed.
	Store func(context.Context) (images.Store, error)
	// Archives is the same store, for image archives.
	Archives func(context.Context) (images.Archives, error)
	// Catalogue returns the known distributions and the host's own release.
	Catalogue func() (*images.Catalogue, images.HostOS, error)
	// Default is the configured image of new toolboxes.
	Default images.Request
	// Registry returns the registries, with the credentials in the file authFile; "" is
	// the user's own.
	Registry func(authFile string) images.Registry
	// Trust, if set, refuses an image without a signature of a trusted key.
	Trust *images.Trust
	// Keep chooses which of tbx's automatic snapshots stay.
	Keep toolbox.Retention
	// StateDir keeps the records of images. It is made on the first write.
	StateDir string
	// Stall is the longest pause of a download.
	Stall time.Duration

	// Ask asks a question; false means no. If nobody can answer, it returns an error of
	// kind fail.NeedAnswer.
	Ask func(images.Question) (bool, error)
	// Progress shows the work on an image.
	Progress images.Progress
	// Warn shows a warning with a remedy; hint may be empty.
	Warn func(text, hint string)
}
