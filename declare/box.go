package declare

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Box is a toolbox that shall be there.
type Box struct {
	Name toolbox.Name
	Line int // of the file, where it begins

	Source  Source
	Options toolbox.CreateOptions // all its settings

	Packages    []string            // for any package manager
	PackagesFor map[string][]string // for one, by its name
	Files       []FileIn            // by path
	Setup       []Command           // in the order in which they run
}

// Source is what a toolbox is made from: an image, a Containerfile (absolute), a
// distribution with or without a release, or with all empty the default.
type Source struct{ Image, Distro, Release, Containerfile string }

// FileIn is a file of root's in a toolbox.
type FileIn struct {
	Path    string
	Mode    fs.FileMode // permissions, setuid and setgid as of chmod(2)
	Content []byte
	From    string // path of the host that the content comes from; empty: the declaration
}

// Hash identifies content and mode.
func (f *FileIn) Hash() string {
	return project.Hash(append([]byte(strconv.FormatUint(uint64(f.Mode), 8)+"\n"), f.Content...))
}

// Command is one of sh to be run once.
type Command struct {
	Text   string
	AsUser bool // not as root
}

// Hash identifies a command: what has another one runs.
func (c *Command) Hash() string {
	return project.Hash([]byte(strconv.FormatBool(c.AsUser) + "\n" + c.Text))
}

// Limits, in bytes.
const (
	maxCommand = 128 << 10 // MAX_ARG_STRLEN, execve(2)
	maxFile    = 1 << 20   // of one file
	maxRead    = 16 << 20  // of all files
)

// box makes a Box of a toolbox with all that it extends.
func (p *parser) box(name string, e *entry) (*Box, error) {
	b := &Box{
		Name: toolbox.Name(name), Line: p.text.Line("toolbox", name),
		Source: Source{Image: e.Image, Distro: e.Distro, Release: e.Release, Containerfile: e.Containerfile},
		Options: toolbox.CreateOptions{
			Name: toolbox.Name(name), Hostname: e.Hostname, Home: e.Home, Volumes: e.Volumes, Env: e.Env, Without: e.Without,
			Memory: e.Memory, CPUs: e.CPUs, Pids: e.Pids, Declared: p.path,
			Isolated: e.Isolated, Share: e.Share, NoNetwork: e.NoNetwork, ShmSize: e.ShmSize, GPU: e.GPU,
		},
		Packages: e.Packages, PackagesFor: e.PackagesFor,
	}
	if e.Home == p.who.Home {
		b.Options.Home = ""
	}
	for _, s := range e.Setup {
		b.Setup = append(b.Setup, Command{Text: s})
	}
	for _, s := range e.SetupUser {
		b.Setup = append(b.Setup, Command{Text: s, AsUser: true})
	}
	for _, at := range slices.Sorted(maps.Keys(e.Files)) {
		f, err := p.file(name, at, e)
		if err != nil {
			return nil, err
		}
		b.Files = append(b.Files, *f)
	}
	return b, nil
}

// parseMode reads octal digits. Missing, it is 0644.
func parseMode(s string) (fs.FileMode, bool) {
	if s == "" {
		return 0o644, true
	}
	n, err := strconv.ParseUint(s, 8, 12)
	return fs.FileMode(n), err == nil
}

// file makes a FileIn, with its content.
func (p *parser) file(name, at string, e *entry) (*FileIn, error) {
	in := e.Files[at]
	mode, _ := parseMode(in.Mode) // was checked
	f := &FileIn{Path: at, Mode: mode}
	line := p.text.Line("toolbox", name, "files", at)
	for _, v := range e.Volumes {
		if below(at, targetOf(v)) {
			return nil, p.bad(line, "file %s: %s is a volume, and the host's", escape.Quote(at), targetOf(v)).Hint("write the file on the host")
		}
	}
	if in.Text != nil {
		f.Content = []byte(*in.Text)
		return f, nil
	}
	var err error
	if f.Content, f.From, err = p.source(in.Source); err != nil {
		return nil, p.placed(line, "file "+escape.Quote(at), err)
	}
	return f, nil
}

// source reads a file of the host's. One that is named relative to the declaration must
// stay in its directory, whatever links are on the way: who reads the declaration would
// not see where they lead.
func (p *parser) source(name string) (content []byte, path string, err error) {
	var f *os.File
	if path = p.place(name); filepath.IsAbs(path) && filepath.IsAbs(name) || name != "" && name[0] == '~' {
		f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	} else {
		path = p.absolute(name)
		var root *os.Root
		if root, err = os.OpenRoot(p.dir); err != nil {
			return nil, path, err
		}
		defer root.Close()
		f, err = root.OpenFile(filepath.Clean(name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, path, fail.New(fail.NotFound, "there is no file %s", escape.Text(path))
	case err != nil:
		return nil, path, fail.Wrap(fail.Unable, err, "its source cannot be read").
			Hint("a relative source stays in the directory of the declaration")
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, path, fail.New(fail.Unable, "its source %s is no regular file", escape.Text(path))
	}
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	p.read += len(content)
	switch {
	case err != nil:
		return nil, path, err
	case len(content) > maxFile:
		return nil, path, fail.New(fail.Unable, "its source %s is larger than %d KiB", escape.Text(path), maxFile>>10).
			Hint("mount it with volumes")
	case p.read > maxRead:
		return nil, path, fail.New(fail.Unable, "the files of the declaration are larger than %d MiB together", maxRead>>20).
			Hint("mount them with volumes")
	}
	return content, path, nil
}
