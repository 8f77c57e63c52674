package provision

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Files that a freeze writes.
const (
	containerfile = "Containerfile"
	lockFile      = "toolbox.lock"
	settingsTar   = "settings.tar" // what a package manager needs before it can install
	packagesTar   = "packages.tar" // packages that are files
	filesTar      = "files.tar"
)

// frozenNames are all of them; the lock file comes last.
var frozenNames = []string{settingsTar, packagesTar, filesTar, containerfile, lockFile}

// frozenDirectory is where they are written: beside their places, until all are there.
type frozenDirectory struct {
	path, part string
	made       bool // it was not there before
	done       bool
}

// openFrozenDir makes the directory. agree is asked before files of it are replaced.
func openFrozenDir(path string, agree func([]string) error) (*frozenDirectory, error) {
	d := &frozenDirectory{path: path, part: filepath.Join(path, ".tbx-freeze")}
	var there []string
	for _, name := range frozenNames {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			there = append(there, name)
		}
	}
	if len(there) > 0 {
		if err := agree(there); err != nil {
			return nil, err
		}
	}
	_, err := os.Stat(path)
	d.made = errors.Is(err, fs.ErrNotExist)
	if err = os.MkdirAll(path, 0o755); err == nil {
		err = os.RemoveAll(d.part) // of one that was killed
	}
	if err == nil {
		err = os.Mkdir(d.part, 0o700)
	}
	return d, d.trouble(err)
}

// trouble says what a directory cannot be written for.
func (d *frozenDirectory) trouble(err error) error {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err
	}
	return fail.Wrap(nil, at.Err, "%s cannot be written", escape.Text(d.path)).
		Hint("see whether you may write there, and how much room there is: df -h; or choose another: --output DIRECTORY")
}

// fill writes one of the files.
func (d *frozenDirectory) fill(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(d.part, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return d.trouble(err)
	}
	out := bufio.NewWriterSize(f, 256<<10)
	if err = write(out); err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return d.trouble(errors.Join(err, f.Close()))
}

// commit puts the files at their places. What an earlier freeze wrote and this one did not
// is removed.
func (d *frozenDirectory) commit() error {
	entries, err := os.ReadDir(d.part)
	if err != nil {
		return d.trouble(err)
	}
	for _, name := range frozenNames {
		to := filepath.Join(d.path, name)
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return d.trouble(err)
			}
			continue
		}
		if err := os.Rename(filepath.Join(d.part, name), to); err != nil {
			return fail.Wrap(nil, err, "%s cannot be written", escape.Text(to))
		}
	}
	d.done = true
	return d.trouble(os.Remove(d.part))
}

// close removes what was not put at its place.
func (d *frozenDirectory) close() {
	os.RemoveAll(d.part)
	if d.made && !d.done {
		os.Remove(d.path)
	}
}
