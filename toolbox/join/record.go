package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
)

// ErrStale means that a record is missing or does not hold any more. It is not a failure:
// the caller uses podman.
var ErrStale = errors.New("no longer as recorded")

// recordVersion changes when the meaning of a field of Record does. The agent of the
// bridge reads records too, and may be of an older tbx.
const recordVersion = 2

// boxVersion changes when tbx needs something new from a record's tbx-box, or from a
// toolbox before an entry. A toolbox that another version has set up is set up again.
const boxVersion = 3

// Record is what tbx remembers of a toolbox that it started and initialised. It is in the
// user's runtime directory, so it never outlives the boot.
type Record struct {
	Version   int
	Name, ID  string // podman's name and full id
	BootID    string
	State     RuntimeState // where the OCI runtime keeps its state of the container
	PID       int          // the first process that was initialised ...
	StartTime uint64       // ... and its start time in clock ticks after boot, proc_pid_stat(5) field 22
	MountNS   uint64       // inode of its mount namespace
	Names     Names        // podman's table of names, at that time
	Env       []string     // the container's environment
	Shell     string       // the user's login shell inside; empty if there is none
	Home      string       // the user's home inside
	Mounts    []Mapping    // the places inside of the host's directories
	HostFiles bool         // the host's root is at /run/host
	Without   []string     // integrations that are off
	Box       string       // tbx-box as seen inside ...
	BoxKnows  int          // ... and the boxVersion that it was made for
	Isolated  bool         // entered by podman alone, within its limits
	Bridge    string       // the bridge's id for it
	Wrote     string       // the login shell that tbx wrote into passwd(5) inside
	Locales   []string     // locales that exist, or cannot be made ...
	Archive   string       // ... as long as the archive of locales is this one
	Start     string       // directory with the start files for shells, as seen inside; empty: none
}

// Mapping maps the host's directory Host to Box inside.
type Mapping struct{ Host, Box string }

func recordPath(dir, name string) string { return filepath.Join(dir, "toolboxes", name+".json") }

// Load reads the record of the toolbox name below tbx's runtime directory.
func Load(dir, name string) (*Record, error) {
	if name == "" || strings.ContainsRune(name, '/') {
		return nil, ErrStale
	}
	data, err := os.ReadFile(recordPath(dir, name))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStale, err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil || r.Version != recordVersion || r.Name != name {
		return nil, fmt.Errorf("%w: the record of %s cannot be read", ErrStale, name)
	}
	if r.BoxKnows != boxVersion {
		return nil, fmt.Errorf("%w: %s was set up by another version of tbx", ErrStale, name)
	}
	return &r, nil
}

// Save writes the record, replacing an older one of the same name.
func (r *Record) Save(dir string) error {
	r.Version, r.BoxKnows = recordVersion, boxVersion
	boot, err := bootID()
	if err != nil {
		return err
	}
	r.BootID = boot
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := recordPath(dir, r.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.WriteVolatile(path, data, 0o600)
}

// Forget removes the record of name, if there is one.
func Forget(dir, name string) { os.Remove(recordPath(dir, name)) }

func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}
