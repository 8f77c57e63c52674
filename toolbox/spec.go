package toolbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/internal/tomlfile"
)

// SpecVersion is the version of the specification that this tbx writes.
const SpecVersion = 1

// Spec is the desired state of one toolbox. It is kept in
// $XDG_CONFIG_HOME/tbx/toolboxes/NAME.toml, and the container is made from it; see
// docs/spec.md.
type Spec struct {
	Version  int       `toml:"version"`
	ID       string    `toml:"id"` // 32 hex digits; ties the file to its container through a label
	Created  time.Time `toml:"created"`
	Image    string    `toml:"image"`              // reference as requested
	ImageID  string    `toml:"image_id"`           // podman's id of it at creation
	Hostname string    `toml:"hostname,omitempty"` // empty: the host's own
	Home     string    `toml:"home,omitempty"`     // directory of the host to be the home; empty: the user's own
	Volumes  []string  `toml:"volumes,omitempty"`  // SOURCE:TARGET[:OPTIONS], absolute
	Env      []string  `toml:"env,omitempty"`      // NAME=VALUE
	Without  []string  `toml:"without,omitempty"`  // keys of integrations that are off

	// Declared is the absolute path of the file that declares the toolbox, from which tbx
	// apply made it or took it over; empty: the user made it by other commands.
	Declared string `toml:"declared,omitempty" json:",omitempty"`

	Isolated  bool     `toml:"isolated,omitempty"`                    // a security boundary: only the parts of the host that are listed here
	Share     []string `toml:"share,omitempty"`                       // DIRECTORY[:ro] of the host that an isolated toolbox has, without links
	NoNetwork bool     `toml:"no_network,omitempty"`                  // an isolated toolbox without any network
	Memory    string   `toml:"memory,omitempty"`                      // limit, such as 12g; empty or 0: no limit
	CPUs      string   `toml:"cpus,omitempty" json:",omitempty"`      // limit in processors, such as 1.5; empty: no limit
	Pids      int64    `toml:"pids_limit,omitzero" json:",omitempty"` // limit of processes and threads; 0: none, in an isolated toolbox 4096
	ShmSize   string   `toml:"shm_size,omitempty"`                    // of its /dev/shm; empty: podman's default
	GPU       bool     `toml:"gpu,omitempty"`                         // an isolated toolbox has the host's GPUs

	Adopted string `toml:"adopted,omitempty" json:",omitempty"` // MAKER/ID of the container that it was adopted from; see Maker

	Ephemeral string `toml:"-" json:",omitempty"` // path of the lock that its owner holds; never in a file

	links []string // only in a new one: places of the links in the user's names of shares
}

// Hash identifies the content of s: 64 hex digits.
func (s *Spec) Hash() string {
	sum := sha256.Sum256(s.encode())
	return hex.EncodeToString(sum[:])
}

func (s *Spec) encode() []byte {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		panic(err) //nolint:forbidigo // TOML can hold every Spec
	}
	return b.Bytes()
}

// specFile returns the path of the specification of name.
func specFile(configDir string, name Name) string {
	return filepath.Join(configDir, "toolboxes", string(name)+".toml")
}

func saveSpec(configDir string, name Name, s *Spec) error {
	path := specFile(configDir, name)
	head := "# Specification of the toolbox " + string(name) + ", written by tbx create.\n"
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = atomicfile.Write(path, append([]byte(head), s.encode()...), 0o644)
	}
	if err != nil {
		return fail.Wrap(nil, err, "the specification of toolbox %s cannot be written", name).
			Hint("tbx keeps it below %s; make that writable, or set XDG_CONFIG_HOME", filepath.Dir(path))
	}
	return nil
}

// loadSpec returns fs.ErrNotExist, wrapped, if there is none.
func loadSpec(configDir string, name Name) (*Spec, error) {
	return readSpec(specFile(configDir, name), name)
}

func readSpec(path string, name Name) (*Spec, error) {
	data, err := ownfile.Read(path)
	if err != nil {
		return nil, err
	}
	var s Spec
	if err := tomlfile.Decode(path, data, &s); err != nil {
		e := fail.Wrap(nil, err, "")
		var mistake *tomlfile.Error
		if errors.As(err, &mistake) && len(mistake.Near) > 0 {
			e.Hint("%s", mistake.DidYouMean())
		}
		return nil, e.Hint("correct that line; the container of toolbox %s is untouched", name)
	}
	if s.Version > SpecVersion {
		return nil, fail.New(fail.Unable, "%s was written by a newer tbx (version %d, this one knows %d)", path, s.Version, SpecVersion).
			Hint("update tbx")
	}
	return &s, nil
}

// removeTorn removes leftovers of a killed write of the specification. Nobody else may be
// writing it.
func removeTorn(configDir string, name Name) {
	path := specFile(configDir, name)
	files, _ := os.ReadDir(filepath.Dir(path))
	for _, f := range files {
		random, ok := strings.CutPrefix(f.Name(), "."+filepath.Base(path)+".")
		if ok && strings.Trim(random, "0123456789") == "" {
			removeFile(filepath.Join(filepath.Dir(path), f.Name()))
		}
	}
}

func removeSpec(configDir string, name Name) error {
	err := os.Remove(specFile(configDir, name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fail.Wrap(nil, err, "the specification of toolbox %s cannot be removed", name).
		Hint("make %s writable, then: tbx rm %s", filepath.Join(configDir, "toolboxes"), name)
}

// Isolated reports whether the toolbox of that name is isolated, by its specification.
// Without one, known is false: podman may still have such a toolbox, see Find.
func (m *Manager) Isolated(name Name) (isolated, known bool, err error) {
	s, err := loadSpec(m.Host.Dirs.Config, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return err == nil && s.Isolated, true, err
}

// specNames lists the names for which a specification is kept.
func specNames(configDir string) []Name {
	files, _ := filepath.Glob(filepath.Join(configDir, "toolboxes", "*.toml"))
	var out []Name
	for _, f := range files {
		base := filepath.Base(f)
		if n, err := ParseName(base[:len(base)-len(".toml")]); err == nil {
			out = append(out, n)
		}
	}
	return out
}
