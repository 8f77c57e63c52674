package toolbox

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// Engine is what a Manager needs of a container engine. An error wraps
// fail.NotFound, fail.Exists or fail.Unable where that is the case, and names
// the cause in the engine's words. Every method honours its context.
type Engine interface {
	// List returns the containers that carry LabelToolbx, running or not.
	List(ctx context.Context) ([]Container, error)
	// Labelled returns the containers that have a label, KEY or KEY=VALUE, running or not.
	Labelled(ctx context.Context, label string) ([]Container, error)
	// Stored returns the names of what is in the engine's storage and is no container to
	// it: what one leaves that was killed, and what other programs make.
	Stored(ctx context.Context) ([]string, error)
	// Inspect returns one container of any kind by name or id.
	Inspect(ctx context.Context, nameOrID string) (*Container, error)
	// Create makes a container and returns its id. It does not start it.
	Create(ctx context.Context, p *Plan) (string, error)
	// Stat looks at path in a container, behind links. One that is not there wraps
	// fail.NotFound, and its message ends with isNotThere. The container need not run.
	Stat(ctx context.Context, id, path string) (File, error)
	// MakeDir makes a directory in a container that does not run, and what leads to it,
	// as root's.
	MakeDir(ctx context.Context, id, dir string) error
	// Start starts a container; one that runs already is no error.
	Start(ctx context.Context, id string) error
	// Stop stops a container: TERM, then KILL after grace. One that does not
	// run is no error.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Bury tells the engine of a container that it believes running or stopping
	// that it has ended, when its first process and its monitor are both gone and
	// nobody else will. It is no error when the engine knows by then.
	Bury(ctx context.Context, id string) error
	// Remove removes a container with its anonymous volumes, force even if it runs.
	Remove(ctx context.Context, id string, force bool) error
	// RemoveVolume removes a named volume. One that is not there is no error.
	RemoveVolume(ctx context.Context, name string) error
	// NamesTable is the path of the table of names, see Container, of the store that the
	// engine uses, whether or not there is a container in it.
	NamesTable(ctx context.Context) (string, error)
	// Rename gives a container another name.
	Rename(ctx context.Context, id, name string) error
	// Limit gives a container that runs the limits of p. It forgets them when it stops.
	Limit(ctx context.Context, id string, p *Plan) error
	// Layer returns where the engine keeps what a container has changed of its image.
	Layer(ctx context.Context, id string) (*layers.Layer, error)
	// Said says whether the container's first process has written text since a time.
	Said(ctx context.Context, id string, since time.Time, text string) (bool, error)
	// Logs copies what the container's first process wrote.
	Logs(ctx context.Context, id string, tail int, w io.Writer) error
	// Run runs a command as the container's root, by the engine's own exec.
	Run(ctx context.Context, id string, args []string, in io.Reader, out io.Writer) error
	// Exec is Run for a command that reads nothing, with NAME=VALUE beside its environment.
	// It returns its exit code; the error is that it could not be run.
	Exec(ctx context.Context, id string, args, env []string, out, errs io.Writer) (int, error)
}

// State of a container, in podman's words.
type State string

// States that tbx tells apart. Others exist and count as not running.
const (
	Running  State = "running"
	Paused   State = "paused"
	Stopping State = "stopping"
	Exited   State = "exited"
)

// Container is what an Engine knows of a container.
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
	Asked      Asked     // what else podman was asked for; Inspect alone knows
}

// Asked is what who made a container may have asked of podman, and what a toolbox of
// tbx's has in one way only.
type Asked struct {
	Hostname         string
	Network, PID     string // as podman-create(1) has them: host, private, none, …
	Memory, NanoCPUs int64  // bytes, and thousand millionths of a processor's time; 0: not limited
	Ports            bool   // ports of the host lead to it
}

// File is what Engine.Stat sees.
type File struct {
	Mode fs.FileMode
	Size int64 // bytes
}

// Mapping says that the host's directory Source is Target inside.
type Mapping struct {
	Source, Target string
	Options        []string // such as nosuid and rbind, with ro where nobody inside may write
	Volume         string   // its name, if podman keeps it; one that nobody named has 64 hex digits
}

// ours says whether the container runs what those run that tbx made. An image may
// carry tbx's labels, and a command that looks so.
func (c *Container) ours() bool {
	return len(c.Command) > 0 && strings.HasPrefix(c.Command[0], boxinit.BoxDir+"/")
}

// hasBox says whether tbx-box is mounted into the container, of which no image can
// decide. It takes what Inspect knows.
func (c *Container) hasBox() bool {
	return slices.ContainsFunc(c.Mounts, func(m Mapping) bool { return m.Target == boxinit.BoxDir })
}

// Progress is told what happens while a user waits.
type Progress interface {
	// Stage begins a stage, such as "starting toolbox web", and ends the one before.
	Stage(text string)
	// Update says how far the stage is, with lines below it.
	Update(text string, below ...string)
	// Warn says what does not work, and what to do about it.
	Warn(text, hint string)
	// Remark says what is good to know and asks for nothing: what was put right, for one.
	Remark(text, hint string)
}
