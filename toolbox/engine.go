package toolbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// Engine is the container engine of a Manager. Errors wrap fail.NotFound, fail.Exists or
// fail.Unable if these apply, and name the cause in the engine's words. Every method
// honours its context.
type Engine interface {
	// List returns the containers that carry LabelToolbx, running or not.
	List(ctx context.Context) ([]Container, error)
	// Labelled returns the containers that have a label, KEY or KEY=VALUE, running or not.
	Labelled(ctx context.Context, label string) ([]Container, error)
	// Stored returns the names in the engine's storage that are not containers to it:
	// leftovers of a killed engine, and containers of other programs.
	Stored(ctx context.Context) ([]string, error)
	// Inspect returns one container of any kind by name or id.
	Inspect(ctx context.Context, nameOrID string) (*Container, error)
	// Create makes a container and returns its id. It does not start it.
	Create(ctx context.Context, p *Plan) (string, error)
	// Stat returns information about path in a container, and follows links. If path is
	// missing, the error wraps fail.NotFound, and its message ends with isNotThere. The
	// container need not run.
	Stat(ctx context.Context, id, path string) (File, error)
	// MakeDir makes a directory and its parents in a stopped container, owned by root.
	MakeDir(ctx context.Context, id, dir string) error
	// Start starts a container; it is no error if it runs already.
	Start(ctx context.Context, id string) error
	// Stop stops a container: TERM, then KILL after grace. It is no error if it does not
	// run.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Bury tells the engine that a container has ended that it believes running or
	// stopping, when its first process and its monitor are both gone, so that nobody else
	// will tell. It is no error if the engine knows by then.
	Bury(ctx context.Context, id string) error
	// Remove removes a container with its anonymous volumes; with force, even a running
	// one.
	Remove(ctx context.Context, id string, force bool) error
	// RemoveVolume removes a named volume. It is no error if it is missing.
	RemoveVolume(ctx context.Context, name string) error
	// NamesTable returns the path of the table of names, see Container, of the engine's
	// store, even if no container is in it.
	NamesTable(ctx context.Context) (string, error)
	// Rename renames a container.
	Rename(ctx context.Context, id, name string) error
	// Limit sets the limits of p on a running container, until it stops.
	Limit(ctx context.Context, id string, p *Plan) error
	// Layer returns where the engine keeps the changed files of a container.
	Layer(ctx context.Context, id string) (*layers.Layer, error)
	// Said reports whether the container's first process has written text since a time.
	Said(ctx context.Context, id string, since time.Time, text string) (bool, error)
	// Logs copies the output of the container's first process.
	Logs(ctx context.Context, id string, tail int, w io.Writer) error
	// Run runs a command as the container's root, by the engine's own exec.
	Run(ctx context.Context, id string, args []string, in io.Reader, out io.Writer) error
	// Exec is Run for a command without input, with NAME=VALUE added to its environment.
	// It returns the command's exit code, or an error if it could not be run.
	Exec(ctx context.Context, id string, args, env []string, out, errs io.Writer) (int, error)
}

// ErrNoStorage is the kind of an Engine's error about a container of which only the name is
// left: podman was killed while it removed it. Removing it once more ends that.
var ErrNoStorage = errors.New("its storage is gone")

// State of a container, in podman's words.
type State string

// The states that tbx distinguishes. Others exist and count as not running.
const (
	Running  State = "running"
	Paused   State = "paused"
	Stopping State = "stopping"
	Exited   State = "exited"
)

// Container is an Engine's knowledge of a container.
type Container struct {
	ID         string
	Name       string
	Image      string // reference, as given at creation
	ImageID    string
	State      State
	ExitCode   int
	Created    time.Time
	Started    time.Time // zero: never
	PID        int       // of the first process; 0: not running
	Runtime    string    // OCI runtime: name or path
	Labels     map[string]string
	Command    []string // of the first process
	Env        []string
	Mounts     []Mapping // of the host's directories
	Volumes    []Mapping // that podman keeps, and file systems in memory, which have no source
	NamesTable string    // path of containers/storage's table of names; see join.Names
	Asked      Asked     // the other options of its creation; only Inspect fills them in
}

// Asked has the options of a container that its maker may choose and that are fixed in
// tbx's toolboxes.
type Asked struct {
	Hostname         string
	Network, PID     string // as podman-create(1) has them: host, private, none, …
	Memory, NanoCPUs int64  // bytes, and thousand millionths of a processor's time; 0: not limited
	Ports            bool   // ports of the host lead to it
}

// File is the result of Engine.Stat.
type File struct {
	Mode fs.FileMode
	Size int64 // bytes
}

// Mapping is a mount: the host's directory Source is Target inside.
type Mapping struct {
	Source, Target string
	Options        []string // such as nosuid and rbind, with ro if nobody inside may write
	Volume         string   // its name, if podman keeps it; an anonymous one has 64 hex digits
}

// ours reports whether the container runs tbx-box like tbx's own. An image may carry
// tbx's labels, and a command that looks the same.
func (c *Container) ours() bool {
	return len(c.Command) > 0 && strings.HasPrefix(c.Command[0], boxinit.BoxDir+"/")
}

// hasBox reports whether tbx-box is mounted into the container, which an image cannot
// arrange. It needs a container from Inspect.
func (c *Container) hasBox() bool {
	return slices.ContainsFunc(c.Mounts, func(m Mapping) bool { return m.Target == boxinit.BoxDir })
}

// Progress shows the work to a user who waits.
type Progress interface {
	// Stage begins a stage, such as "starting toolbox web", and ends the one before.
	Stage(text string)
	// Update shows the progress of the stage, with lines below it.
	Update(text string, below ...string)
	// Warn reports what does not work, with a remedy.
	Warn(text, hint string)
	// Remark reports something that needs no action, such as a repair.
	Remark(text, hint string)
}
