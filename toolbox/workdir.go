package toolbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// workDir finds the directory in which the session begins: the requested one, else the
// caller's. A command never runs in a directory that the caller did not name, because it
// may remove files. A shell begins at home instead, with a warning.
func (p *Session) workDir() (string, error) {
	if want := p.opts.WorkDir; filepath.IsAbs(want) {
		return want, p.checkWorkDir(want)
	}
	var dir string
	where := join.Nowhere
	at, why := whereabouts(p.host.Env)
	if why == nil {
		if dir, where = p.target.WorkDir(at.way, at.cwd, &at.stat); where == join.Nowhere {
			why = p.whyNot(at.way)
		}
	}
	if where == join.Nowhere {
		var err error
		if dir, err = p.elsewhere(why); err != nil {
			return "", err
		}
	}
	if want := p.opts.WorkDir; want != "" {
		dir = filepath.Join(dir, want)
		return dir, p.checkWorkDir(dir)
	}
	if where == join.OfThePath {
		p.sayOnce(dir)
	}
	return dir, nil
}

func (p *Session) checkWorkDir(dir string) error {
	switch err := p.target.CheckDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return &ExitError{ExitFailed, fail.New(fail.NotFound, "directory %s is not in toolbox %s", escape.Text(dir), p.Record.Name)}
	case err != nil:
		return &ExitError{ExitFailed, fail.Wrap(nil, err, "no session can begin in directory %s of toolbox %s", escape.Text(dir), p.Record.Name)}
	}
	return nil
}

// spot is the caller's directory.
type spot struct {
	way  string // the caller's name for it, links included
	cwd  string // the kernel's name, without links
	stat unix.Stat_t
}

// whereabouts returns where the caller is.
func whereabouts(env []string) (*spot, error) {
	p := &spot{}
	if err := unix.Stat(".", &p.stat); err != nil {
		return nil, fail.Wrap(nil, err, "the directory that you are in cannot be looked at").Hint("change to another one")
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	switch {
	case errors.Is(err, unix.ENOENT) || p.stat.Nlink == 0:
		return nil, fail.New(nil, "the directory that you are in was removed").Hint("change to another one, or back into it: cd ..")
	case errors.Is(err, unix.ERANGE), errors.Is(err, unix.ENAMETOOLONG):
		return nil, fail.New(nil, "the path of the directory that you are in is too long to be named").Hint("change to one above it")
	case err != nil:
		return nil, fail.Wrap(nil, err, "the directory that you are in has no path").Hint("change to another one")
	}
	p.cwd = string(buf[:n-1]) // without the NUL
	if !filepath.IsAbs(p.cwd) {
		return nil, fail.New(nil, "the directory that you are in is on no file system that is mounted here").Hint("change to another one")
	}
	p.way = p.cwd
	if pwd := lookup(env, "PWD"); filepath.IsAbs(pwd) {
		var st unix.Stat_t
		if unix.Stat(pwd, &st) == nil && st.Dev == p.stat.Dev && st.Ino == p.stat.Ino {
			p.way = filepath.Clean(pwd)
		}
	}
	return p, nil
}

// whyNot returns why no session can begin in the caller's directory.
func (p *Session) whyNot(cwd string) *fail.Error {
	dir := escape.Text(cwd)
	switch {
	case p.Record.Isolated:
		return fail.New(fail.NotFound, "directory %s is not in toolbox %s", dir, p.Record.Name).
			Hint("name a directory of the toolbox, such as its own home: --workdir %s", escape.Text(p.Record.Home)).
			Hint("or share one of yours with --share DIRECTORY of tbx create or tbx edit")
	case unix.Access(".", unix.R_OK|unix.X_OK) != nil:
		return fail.New(nil, "you may not read directory %s, so no session can begin there", dir).
			Hint("look at it with: ls -ld %s", dir)
	}
	return fail.New(fail.NotFound, "directory %s is not in toolbox %s", dir, p.Record.Name).
		Hint("change to a shared directory, or name one of the toolbox: --workdir DIRECTORY")
}

// elsewhere handles a caller's directory that the toolbox lacks: an error for a command,
// the home for a shell.
func (p *Session) elsewhere(why error) (string, error) {
	if len(p.opts.Args) > 0 || p.opts.WorkDir != "" {
		return "", &ExitError{ExitFailed, why}
	}
	for _, dir := range []string{p.Record.Home, "/"} {
		if p.target.CheckDir(dir) == nil {
			p.opts.Warn(fmt.Sprintf("%v; using %s", why, dir))
			return dir, nil
		}
	}
	return "", &ExitError{ExitFailed, why}
}

// sayOnce reports, on a terminal and once a boot, that the directory of this path is the
// toolbox's own, where both have one, such as /srv.
func (p *Session) sayOnce(dir string) {
	text := fmt.Sprintf("directory %s is the toolbox's own", escape.Text(dir))
	if p.Record.HostFiles {
		text += "; the host's is " + escape.Text(join.HostView+dir)
	}
	p.once("dir"+strings.ReplaceAll(dir, "/", "%"), text, "")
}
