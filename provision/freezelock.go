package provision

import (
	"bytes"
	"fmt"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// frozenVersion is the version of the lock file that this tbx writes.
const frozenVersion = 1

// Frozen is what a toolbox consists of, as its lock file has it.
type Frozen struct {
	Version int         `toml:"version" json:"version"`
	Toolbox string      `toml:"toolbox" json:"toolbox"`
	Image   FrozenImage `toml:"image" json:"image"`
	System  string      `toml:"system,omitempty" json:"system,omitempty"`   // for people
	Manager string      `toml:"manager,omitempty" json:"manager,omitempty"` // of packages; empty: none that tbx knows

	Architectures []string           `toml:"architectures,omitempty" json:"architectures,omitempty"`
	Asked         []string           `toml:"asked,omitempty" json:"asked,omitempty"`     // packages that somebody asked for
	Held          []string           `toml:"held,omitempty" json:"held,omitempty"`       // that stay as they are
	Added         []string           `toml:"added,omitempty" json:"added,omitempty"`     // that the image has not, or in another version
	Dropped       []string           `toml:"dropped,omitempty" json:"dropped,omitempty"` // that the image has
	Local         []string           `toml:"local,omitempty" json:"local,omitempty"`     // of no repository: they are files in the directory
	Alternatives  []string           `toml:"alternatives,omitempty" json:"alternatives,omitempty"`
	Removed       []string           `toml:"removed,omitempty" json:"removed,omitempty"` // files
	Packages      map[string]string  `toml:"packages" json:"packages"`                   // all, with their versions
	Repositories  []FrozenRepository `toml:"repository,omitempty" json:"repositories,omitempty"`
	Users         []string           `toml:"users,omitempty" json:"users,omitempty"`   // as in /etc/passwd
	Groups        []string           `toml:"groups,omitempty" json:"groups,omitempty"` // as in /etc/group
	Files         []FrozenFile       `toml:"file,omitempty" json:"files,omitempty"`
	LeftOut       []FrozenLeft       `toml:"left_out,omitempty" json:"left_out,omitempty"`
}

// FrozenImage is the image of a frozen toolbox.
type FrozenImage struct {
	Reference string `toml:"reference" json:"reference"`
	Digest    string `toml:"digest,omitempty" json:"digest,omitempty"` // by which its registry has it; empty: it was made here
	ID        string `toml:"id" json:"id"`
	Arch      string `toml:"arch" json:"arch"`
}

// FrozenRepository is a file that names some.
type FrozenRepository struct {
	Path  string   `toml:"path" json:"path"`
	Lines []string `toml:"lines" json:"lines"` // without comments and passwords
}

// FrozenFile is one that no package brought, or brought otherwise.
type FrozenFile struct {
	Path   string `toml:"path" json:"path"`
	Type   string `toml:"type" json:"type"`
	Mode   string `toml:"mode,omitempty" json:"mode,omitempty"` // octal
	Owner  string `toml:"owner" json:"owner"`                   // UID:GID
	Size   int64  `toml:"size,omitzero" json:"size,omitempty"`
	SHA256 string `toml:"sha256,omitempty" json:"sha256,omitempty"`
	Target string `toml:"target,omitempty" json:"target,omitempty"`
}

// FrozenLeft is something that was left out.
type FrozenLeft struct {
	Path string `toml:"path" json:"path"`
	Why  string `toml:"why" json:"why"`
}

func frozenFile(f *carry.Found) FrozenFile {
	out := FrozenFile{Path: f.Path, Type: f.Type, Owner: fmt.Sprintf("%d:%d", f.UID, f.GID), Size: f.Size, SHA256: f.SHA256, Target: f.Target}
	if f.Type != carry.TypeLink {
		out.Mode = fmt.Sprintf("%04o", f.Mode)
	}
	return out
}

// system adds what a package manager says.
func (l *Frozen) system(s *packages.System, has *packages.Inventory, w *packages.Wanted) {
	l.System, l.Manager = s.OS["PRETTY_NAME"], s.Name
	l.Packages = has.Versions()
	l.Asked, l.Held, l.Architectures = sorted(has.Asked), sorted(has.Held), sorted(has.Architectures)
	for n := range w.Install {
		l.Added = append(l.Added, n)
	}
	l.Added, l.Dropped, l.Local = sorted(l.Added), w.Remove, w.FileNames
	l.Alternatives = alternativesOf(has)
}

func alternativesOf(has *packages.Inventory) []string {
	var out []string
	for _, a := range has.Alternatives {
		out = append(out, a[0]+" "+a[1])
	}
	return sorted(out)
}

// text is the lock file.
func (l *Frozen) text() ([]byte, error) {
	b := bytes.NewBufferString("# What toolbox " + l.Toolbox + " consists of, by tbx freeze. The Containerfile beside makes an image of it.\n")
	e := toml.NewEncoder(b)
	e.Indent = ""
	err := e.Encode(l)
	return b.Bytes(), err
}

// bytes is how long the files are together.
func (l *Frozen) bytes() (n int64) {
	for _, f := range l.Files {
		n += f.Size
	}
	return n
}
