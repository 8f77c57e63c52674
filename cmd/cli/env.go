package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/term"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/config"
	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/internal/progress"
	"github.com/tbx-project/tbx/internal/userns"
	"github.com/tbx-project/tbx/internal/xdg"
	"github.com/tbx-project/tbx/osupdate"
	profile "github.com/tbx-project/tbx/profile.d"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// QuietSuccess is the annotation of a command that writes nothing to standard error when
// it succeeds and that is no terminal: scripts compare it. Warnings are written all the
// same; with --verbose everything is.
const QuietSuccess = "quiet-success"

// Quietly is the annotations of such a command.
func Quietly() map[string]string { return map[string]string{QuietSuccess: ""} }

// Env is what every command is given: streams, settings, and the wiring of the
// domain packages, each made on first use so that a command pays for what it
// needs.
type Env struct {
	In, Out, Err *os.File
	Environ      []string
	Log          *logrus.Logger
	Yes          bool // answer every question with yes
	Quiet        bool // no progress
	Verbose      bool // say what is done, terminal or not

	Session bool // the command's exit codes are those of what it runs

	// Engine connects to podman, or becomes the program that can.
	Engine func(context.Context) (toolbox.Engine, error)
	// Newer asks an image's registry; nil in a program that does not ask registries.
	Newer osupdate.Newer

	signals signals
	host    *toolbox.Host
	config  *config.Config
	display *progress.Display

	projectTold bool // see WarnOfProject
}

// NewEnv returns an Env with those streams and variables. Its func fields are for
// the program to set.
func NewEnv(in, out, errs *os.File, environ []string) *Env {
	log := logrus.New()
	log.SetOutput(errs)
	log.SetLevel(logrus.ErrorLevel)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	return &Env{In: in, Out: out, Err: errs, Environ: environ, Log: log}
}

// Getenv returns a variable of the caller.
func (e *Env) Getenv(name string) string { return envset.Get(e.Environ, name) }

// IsTerminal says whether f is one. f may be nil.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// Host returns what tbx knows of the machine and its user, after it made sure
// that toolboxes make sense for them.
func (e *Env) Host() (*toolbox.Host, error) {
	if e.host != nil {
		return e.host, nil
	}
	if name := InsideOf("/"); name != "" {
		return nil, fail.New(fail.Unable, "this is the inside of toolbox %s, and toolboxes are managed from the host", name).
			Hint("leave it with: exit")
	}
	if os.Geteuid() == 0 {
		if userns.FakeRoot(userns.Own()) {
			return nil, fail.New(fail.Unable, "you are root in a user namespace only, and toolboxes are of the user outside").
				Hint("call tbx outside of unshare, podman unshare, fakeroot and the like")
		}
		err := fail.New(fail.Unable, "tbx is for an ordinary user: toolboxes of root would hold the whole machine")
		if user := e.Getenv("SUDO_USER"); user != "" {
			return nil, err.Hint("call it as %s, without sudo", user)
		}
		return nil, err.Hint("call it as the user whose toolboxes they shall be; on a machine without one: make try")
	}
	h, err := toolbox.LookAtHost(e.Environ)
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "this machine cannot have toolboxes for you")
	}
	e.host = h
	return h, nil
}

// Dirs are the user's directories; Host was called before.
func (e *Env) Dirs() xdg.Dirs { return e.host.Dirs }

// Home is the user's home; Host was called before.
func (e *Env) Home() string { return e.host.Home }

// InsideOf returns the name of the toolbox, or the kind of container, that tbx
// runs in, or "" on a host.
func InsideOf(root string) string {
	if name, err := os.ReadFile(filepath.Join(root, boxinit.StateDir, "name")); err == nil {
		return strings.TrimSpace(string(name))
	}
	if _, err := os.Stat(filepath.Join(root, boxinit.Marker)); err == nil {
		return "(not one of tbx's)"
	}
	return ""
}

// Config returns the effective configuration.
func (e *Env) Config() (*config.Config, error) {
	if e.config != nil {
		return e.config, nil
	}
	h, err := e.Host()
	if err != nil {
		return nil, err
	}
	c, err := config.Load("/etc/tbx/config.toml", filepath.Join(h.Dirs.Config, "config.toml"))
	if err != nil {
		return nil, err
	}
	e.config = &c
	return &c, nil
}

// Manager returns the toolboxes' manager.
func (e *Env) Manager() (*toolbox.Manager, error) {
	h, err := e.Host()
	if err != nil {
		return nil, err
	}
	c, err := e.Config()
	if err != nil {
		return nil, err
	}
	prompt := ""
	if c.Prompt.Enabled {
		prompt = c.Prompt.Format
	}
	return &toolbox.Manager{
		Host:     h,
		Engine:   e.Engine,
		BoxFile:  e.boxFile(),
		Progress: e.Progress(),
		Files:    profile.Files(),
		Debug:    e.Log.Debugf,
		Prompt:   prompt,
		Bridge:   func(id string) string { return hostbridge.BoxDir(BridgeDir(h), BridgeID(id)) },
	}, nil
}

// boxFile finds tbx-box.
func (e *Env) boxFile() string {
	if path, err := programs.Find(programs.Box); err == nil {
		return path
	}
	return programs.Box // for the message that it is missing
}

// Progress is the display of what goes on, on standard error.
func (e *Env) Progress() *progress.Display {
	if e.display == nil {
		e.display = progress.New(e.Err, IsTerminal(e.Err), e.Quiet)
	}
	return e.display
}
