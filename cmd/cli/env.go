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

// QuietSuccess is the annotation of a command that writes nothing to standard error if it
// succeeds and that is not a terminal, because scripts compare it. Warnings are still
// written, and with --verbose everything is.
const QuietSuccess = "quiet-success"

// Quietly returns the annotations of such a command.
func Quietly() map[string]string { return map[string]string{QuietSuccess: ""} }

// Env is the input of every command: streams, settings, and the wiring of the domain
// packages. Each is made on first use, so that a command pays only for what it needs.
type Env struct {
	In, Out, Err *os.File
	Environ      []string
	Log          *logrus.Logger
	Yes          bool // answer every question with yes
	Quiet        bool // no progress
	Verbose      bool // report each step, terminal or not

	Session bool // the command's exit codes are those of the command that it runs

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

// NewEnv returns an Env with those streams and variables. The program sets its func
// fields.
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

// Host returns the facts about the machine and its user, after it has made sure that they
// can have toolboxes.
func (e *Env) Host() (*toolbox.Host, error) {
	if e.host != nil {
		return e.host, nil
	}
	if name := InsideOf("/"); name != "" {
		return nil, fail.New(fail.Unable, "you are inside toolbox %s, and toolboxes are managed from the host", name).
			Hint("leave it with: exit")
	}
	if os.Geteuid() == 0 {
		if userns.FakeRoot(userns.Own()) {
			return nil, fail.New(fail.Unable, "you are root in a user namespace only, and toolboxes belong to the user outside it").
				Hint("call tbx outside of unshare, podman unshare, fakeroot and the like")
		}
		err := fail.New(fail.Unable, "tbx is for an ordinary user: toolboxes of root would have the whole machine")
		if user := e.Getenv("SUDO_USER"); user != "" {
			return nil, err.Hint("call it as %s, without sudo", user)
		}
		return nil, err.Hint("call it as the owner of the toolboxes; on a machine without ordinary users: make try")
	}
	h, err := toolbox.LookAtHost(e.Environ)
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "you cannot have toolboxes on this machine")
	}
	e.host = h
	return h, nil
}

// Dirs returns the user's directories. Call Host first.
func (e *Env) Dirs() xdg.Dirs { return e.host.Dirs }

// Home returns the user's home. Call Host first.
func (e *Env) Home() string { return e.host.Home }

// InsideOf returns the name of the toolbox, or the kind of container, that tbx runs in.
// It returns "" on a host.
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

// Progress returns the display on standard error.
func (e *Env) Progress() *progress.Display {
	if e.display == nil {
		e.display = progress.New(e.Err, IsTerminal(e.Err), e.Quiet)
	}
	return e.display
}
