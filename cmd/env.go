package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"golang.org/x/term"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/config"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/internal/progress"
	profile "github.com/tbx-project/tbx/profile.d"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// Env is what every command is given: streams, settings, and the wiring of the
// domain packages, each made on first use so that a command pays for what it
// needs.
type Env struct {
	In, Out, Err *os.File
	Environ      []string
	Log          *logrus.Logger
	Yes          bool // answer every question with yes
	Quiet        bool // no progress

	signals signals
	session bool // the command's exit codes are those of what it runs

	host    *toolbox.Host
	config  *config.Config
	display *progress.Display
	wiring
}

func newEnv(in, out, errs *os.File, environ []string) *Env {
	log := logrus.New()
	log.SetOutput(errs)
	log.SetLevel(logrus.ErrorLevel)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	return &Env{In: in, Out: out, Err: errs, Environ: environ, Log: log}
}

// Getenv returns a variable of the caller.
func (e *Env) Getenv(name string) string {
	for i := len(e.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(e.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// Host returns what tbx knows of the machine and its user, after it made sure
// that toolboxes make sense for them.
func (e *Env) Host() (*toolbox.Host, error) {
	if e.host != nil {
		return e.host, nil
	}
	if name := insideOf("/"); name != "" {
		return nil, fail.New(fail.Unable, "this is the inside of toolbox %s, and toolboxes are managed from the host", name).
			Hint("leave it with: exit")
	}
	if os.Geteuid() == 0 {
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

// insideOf returns the name of the toolbox, or the kind of container, that tbx
// runs in, or "" on a host.
func insideOf(root string) string {
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
		Engine:   func(ctx context.Context) (toolbox.Engine, error) { return e.podman(ctx) },
		BoxFile:  e.boxFile(),
		Progress: e.progress(),
		Files:    profile.Files(),
		Debug:    e.Log.Debugf,
		Prompt:   prompt,
		Bridge:   func(id string) string { return hostbridge.BoxDir(bridgeDir(h), bridgeID(id)) },
	}, nil
}

// boxFile finds tbx-box.
func (e *Env) boxFile() string {
	if path, err := programs.Find(programs.Box); err == nil {
		return path
	}
	return programs.Box // for the message that it is missing
}

func (e *Env) progress() *progress.Display {
	if e.display == nil {
		e.display = progress.New(e.Err, isTerminal(e.Err), e.Quiet)
	}
	return e.display
}
