package declared

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// source is the declaration that a command uses.
type source struct {
	path  string
	data  []byte
	named bool // by the user; else tbx found it
}

// open reads the declaration that args names, or that of the project the user is in.
// Links in a named path are followed, if follow is set: the user chose where they lead.
func open(env *fetch.Env, args []string, follow bool) (*source, error) {
	s := &source{named: len(args) == 1}
	if s.named {
		var err error
		if s.path, err = located(args[0]); err == nil && follow {
			s.path, err = filepath.EvalSymlinks(s.path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail.New(fail.NotFound, "there is no file %s", escape.Text(args[0]))
		}
		if err != nil {
			return nil, err
		}
	} else if s.path = env.ProjectFile(); s.path == "" {
		return nil, fail.New(fail.NotFound, "there is no %s here, nor in a directory above, up to your home", project.FileName).
			Hint("name a file: tbx plan FILE").Hint("docs/apply.md has an example to begin with")
	}
	var err error
	s.data, err = project.Read(s.path)
	return s, err
}

// parse checks the declaration.
func (s *source) parse(env *fetch.Env) (*declare.File, error) {
	h, err := env.Host()
	if err != nil {
		return nil, err
	}
	return declare.Parse(s.path, s.data, declare.Caller{Home: h.Home, User: h.User})
}

// permit returns an error unless the user allowed the declaration: by naming it, or with
// tbx allow.
func (s *source) permit(env *fetch.Env) error {
	if s.named {
		return nil
	}
	_, err := env.Permits().Check(s.path, s.data)
	return err
}

// denied returns the path of a declaration, which may be missing.
func denied(env *fetch.Env, args []string) (string, error) {
	if len(args) == 0 {
		if path := env.ProjectFile(); path != "" {
			return path, nil
		}
		return "", fail.New(fail.NotFound, "there is no %s here, nor in a directory above, up to your home", project.FileName).
			Hint("name the file: tbx deny FILE")
	}
	return located(args[0])
}

// located returns the absolute path of a declaration, or of the one in a directory, with
// links in its directory resolved. It may be missing.
func located(arg string) (string, error) {
	path, err := filepath.Abs(arg)
	if err != nil {
		return "", err
	}
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		path = filepath.Join(path, project.FileName)
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path, nil
}

// ofFile completes a command about one declaration: its argument, and the shell's
// completion of that.
func ofFile(cmd *cobra.Command) {
	cmd.Args = atMostOne
	cmd.ValidArgsFunction = cli.OnlyFirst(cli.Files)
}

// atMostOne allows one file.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fail.New(fail.Usage, "%s takes one file, not %d", cmd.CommandPath(), len(args)).Hint("usage: %s", cmd.UseLine())
	}
	return nil
}
