package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// initTimeout bounds one run of the initialiser. It takes about 10 ms, and minutes only
// to generate a locale on a slow machine.
const initTimeout = 3 * time.Minute

// Limits for the output of an initialiser, or of whatever runs in its place: bytes, and
// warnings that are passed on.
const (
	maxSaid   = 1 << 20
	maxWarned = 40
)

// ShellFile is a file of tbx's own that every toolbox gets.
type ShellFile = boxinit.File

// initConfig describes the toolbox for the initialiser, for this host as it is now.
func (m *Manager) initConfig(b *Box) boxinit.Config {
	h, s := m.Host, b.Spec
	cfg := boxinit.Config{
		Name:       string(b.Name),
		Mark:       strings.ReplaceAll(m.Prompt, "%s", string(b.Name)),
		User:       boxinit.User{Name: h.User, Gecos: h.Gecos, Home: h.Home, RealHome: h.RealHome, UID: h.UID, GID: h.GID, Group: h.Group},
		Shells:     append(shellPlaces(h.Shell), "/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh"),
		Hostname:   h.Hostname,
		HostHome:   h.HomeLink,
		RuntimeDir: boxRuntimeDir(h),
		NoDevices:  true, // an integration says otherwise
		NoSudo:     s.Isolated,
		Shares:     s.shareDirs(),
		Volumes:    s.volumeTargets(),
	}
	cfg.Leftovers, _, _ = strings.Cut(s.Adopted, "/")
	cfg.Inside = m.containersInside(b)
	if s.Isolated && s.GPU {
		cfg.KeepDevices = []string{"dri", "kfd", "nvidia"}
	}
	switch {
	case s.Hostname != "":
		cfg.Hostname = s.Hostname
	case s.Isolated:
		cfg.Hostname = hostnameFrom(b.Name)
	}
	for _, mt := range b.Mounts {
		cfg.HostFiles = cfg.HostFiles || mt.Target == boxinit.HostView
		if mt.Target == integration.HostRuntime {
			cfg.HostRuntime = mt.Target
		}
	}
	h.facts(s).Configure(&cfg)
	return cfg
}

// shellPlaces returns where an image may have a shell of the host: at its own path, or by
// its name in the directories of programs. NixOS has none in /bin.
func shellPlaces(shell string) []string {
	if !filepath.IsAbs(shell) {
		return nil
	}
	places := []string{shell, "/usr" + shell}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		places = append(places, filepath.Join(dir, filepath.Base(shell)))
	}
	return places
}

// hostCopies returns host files for a toolbox that cannot follow them: they stay as at
// the toolbox's start.
func (m *Manager) hostCopies(s *Spec) []boxinit.File {
	var out []boxinit.File
	for _, p := range m.Host.facts(s).Static() {
		if data, err := os.ReadFile(p); err == nil {
			out = append(out, boxinit.File{Path: p, Content: string(data), Mode: 0o644})
		}
	}
	return out
}

// initRun is one run of the initialiser, by either way into the toolbox.
type initRun struct {
	manager *Manager
	name    Name
	log     io.Writer
	config  boxinit.Config
}

// byJoining enters as the toolbox's root without podman. The trees are the
// initialiser's descriptors from 3 on.
func (i *initRun) byJoining(ctx context.Context, r *join.Record, joinErr error, trees []*os.File) (*boxinit.Summary, error) {
	if joinErr != nil {
		return nil, fmt.Errorf("%w: %w", join.ErrStale, joinErr)
	}
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	t, err := r.OpenUnrecorded()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	box := r.Box
	if i.config.BoxFD != 0 { // before its first run it is not there: use its directory on the host
		dir, err := os.Open(filepath.Dir(i.manager.BoxFile))
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		trees = append(slices.Clone(trees), dir)
		box = fmt.Sprintf("/proc/self/fd/%d/%s", 2+len(trees), filepath.Base(i.manager.BoxFile))
	}
	cmd, err := t.Command(&join.Session{Args: []string{box, "init"}, Env: rootEnv(), Dir: "/", Root: true})
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = trees
	bound := exec.CommandContext(ctx, cmd.Path)
	bound.Args, bound.Env, bound.ExtraFiles = cmd.Args, cmd.Env, cmd.ExtraFiles
	out, errs := bounded.Buffer{Most: maxSaid}, bounded.Buffer{Most: maxSaid}
	bound.Stdout, bound.Stderr = &out, &errs
	if bound.Stdin, err = i.input(); err != nil {
		return nil, err
	}
	err = bound.Run()
	return i.judge(&out, errs.String(), err)
}

// byEngine enters by podman exec, which cannot pass mounts.
func (i *initRun) byEngine(ctx context.Context, e Engine, id, box string) (*boxinit.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	if i.config.HostTreeFD != 0 {
		i.config.HostTreeFD, i.config.HostFiles = 0, false
	}
	i.config.Inside.DataFD, i.config.Inside.RunFD, i.config.BoxFD = 0, 0, 0
	i.config.Attach = nil
	in, err := i.input()
	if err != nil {
		return nil, err
	}
	out := bounded.Buffer{Most: maxSaid}
	err = e.Run(ctx, id, []string{box, "init"}, in, &out)
	return i.judge(&out, "", err)
}

func (i *initRun) input() (io.Reader, error) {
	data, err := json.Marshal(i.config)
	return bytes.NewReader(data), err
}

// judge reads the initialiser's events. Every run ends with one that says ready or an
// error; without it the initialiser was killed or could not start.
func (i *initRun) judge(out io.Reader, stderr string, runErr error) (*boxinit.Summary, error) {
	lines := json.NewDecoder(io.TeeReader(out, i.log))
	step, warned := notBegun, 0
	for {
		var ev boxinit.Event
		err := lines.Decode(&ev)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail.Wrap(nil, err, "the initialiser of toolbox %s gives an unreadable answer", i.name).
				Hint("tbx and tbx-box may be of different versions: reinstall tbx")
		}
		if ev.Step != "" {
			step = ev.Step
		}
		switch {
		case ev.Warning != "" && warned > maxWarned:
		case ev.Warning != "" && warned == maxWarned:
			warned++
			i.manager.Progress.Warn(fmt.Sprintf("toolbox %s: there are more warnings", i.name), "see them with: tbx logs "+string(i.name))
		case ev.Warning != "":
			warned++
			i.manager.Progress.Warn(fmt.Sprintf("toolbox %s: %s: %s", i.name, step, ev.Warning), ev.Hint)
		case ev.Error != "":
			e := fail.New(nil, "toolbox %s cannot be set up: %s: %s", i.name, step, ev.Error)
			if ev.Hint != "" {
				e.Hint("%s", ev.Hint)
			}
			return nil, e
		case ev.Ready != nil:
			return ev.Ready, nil
		}
	}
	fmt.Fprintln(i.log, stderr)
	cause := runErr
	if stderr != "" {
		cause = fmt.Errorf("%w: %s", runErr, firstLine(stderr))
	}
	if step == notBegun && stderr == "" { // the log is empty
		return nil, fail.Wrap(nil, cause, "toolbox %s cannot be set up: the initialiser ended without a message", i.name).
			Hint("try again with: tbx start %s", i.name)
	}
	return nil, fail.Wrap(nil, cause, "toolbox %s cannot be set up: the initialiser ended at step %q", i.name, step).
		Hint("see its steps with: tbx logs %s", i.name)
}

// notBegun is the step of an initialiser that has reported nothing yet.
const notBegun = "start"

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte("\n"))
	return string(line)
}

// rootEnv is the environment of the initialiser: nothing of the caller's.
func rootEnv() []string {
	return []string{"PATH=" + strings.Join(boxinit.SystemPath, ":"), "HOME=/root", "LANG=C.UTF-8"}
}

// startLog is the log of a toolbox's last start, for tbx logs. If it cannot be written,
// tbx warns and goes on.
type startLog struct {
	manager *Manager
	name    Name
	file    *os.File // nil: it could not be opened
}

func (m *Manager) openLog(name Name) *startLog {
	l := &startLog{manager: m, name: name}
	path := m.logFile(name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		l.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	}
	l.warn(err)
	return l
}

// Write never fails.
func (l *startLog) Write(p []byte) (int, error) {
	if l.file != nil {
		_, err := l.file.Write(p)
		l.warn(err)
	}
	return len(p), nil
}

func (l *startLog) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

func (l *startLog) warn(err error) {
	if err != nil {
		l.manager.Progress.Warn(fmt.Sprintf("the log of toolbox %s cannot be written: %v", l.name, err),
			"make room in "+l.manager.Host.Dirs.State+", make it writable, or set XDG_STATE_HOME")
	}
}

func (m *Manager) logFile(name Name) string {
	if isEphemeralName(name) {
		if lock := filepath.Join(m.ephemeralDir(), string(name)); m.Host.Exists(lock) {
			return lock + logEnding
		}
	}
	return filepath.Join(m.Host.Dirs.State, "log", string(name)+".log")
}
