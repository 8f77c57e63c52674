package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// CreateOptions is a user's request for a new toolbox.
type CreateOptions struct {
	Name     Name
	Hostname string
	Home     string
	Volumes  []string
	Env      []string
	Without  []string // integrations that are off
	Memory   string   // limit, such as 12g; empty: the default; 0: no limit
	CPUs     string   // limit in processors, such as 1.5; empty or 0: no limit
	Pids     int64    // limit of processes and threads; 0: the default
	Declared string   // file that declares it, see Spec

	Isolated bool // a security boundary; the fields below are for such a toolbox

	Share     []string // DIRECTORY[:ro] of the host
	NoNetwork bool
	ShmSize   string // of its /dev/shm
	GPU       bool   // it has the host's GPUs
}

// Image is what a toolbox is made from.
type Image struct {
	Reference string   // its name, to be recorded
	ID        string   // podman's
	Env       []string // its environment
}

// Draft is a toolbox whose options are checked and that does not exist yet.
type Draft struct {
	Name Name
	spec *Spec
}

// Draft checks the options of a new toolbox. It starts no process and reads no program.
func (m *Manager) Draft(o CreateOptions) (*Draft, error) {
	s, err := m.newSpec(o)
	if err == nil {
		_, err = NewPlan(o.Name, s, m.Host, Place{BoxDir: boxDir(m.Host)})
	}
	if err != nil {
		return nil, err
	}
	return &Draft{o.Name, s}, nil
}

// Plan renders the request to podman that Create would make. It changes nothing.
func (m *Manager) Plan(d *Draft, from Image) (*Plan, error) {
	s := d.spec
	s.Image, s.ImageID = from.Reference, from.ID
	box, err := boxVersion(m.BoxFile)
	if err != nil {
		return nil, err
	}
	tree := !s.Isolated && m.canShowHost(m.BoxFile)
	p, err := NewPlan(d.Name, s, m.Host, Place{BoxDir: boxDir(m.Host), Box: box, Tree: tree, Bridge: m.mountedBridge(s)})
	if err != nil {
		return nil, err
	}
	p.ImageEnv = from.Env
	p.ephemeral(s, m.Host)
	if s.Isolated {
		p.Command = append(p.Command, boxinit.Args(p.named(s))...)
	}
	return p, nil
}

// mountedBridge returns the bridge's directory of an isolated toolbox, or "".
func (m *Manager) mountedBridge(s *Spec) string {
	if m.Bridge == nil || !s.Isolated || !s.Has(integration.Bridge) {
		return ""
	}
	return m.Bridge(s.ID)
}

// Create makes a toolbox. It returns an error that wraps fail.Exists if a container of
// that name exists. If it is killed at any point, a second call repairs that: the
// specification is written first, then podman makes the container, and a specification
// without a container is overwritten.
func (m *Manager) Create(ctx context.Context, d *Draft, from Image) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	lock, err := m.lock(ctx, d.Name)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := m.mustNotExist(ctx, e, d.Name); err != nil {
		return err
	}
	if _, err := installBox(boxDir(m.Host), m.BoxFile); err != nil {
		return err
	}
	p, killed, err := m.specify(ctx, d, from)
	if err != nil {
		return err
	}
	s := d.spec
	m.stage("creating toolbox %s from %s", d.Name, from.Reference)
	id, err := e.Create(ctx, p)
	if errors.Is(err, fail.Exists) && m.halfMade(ctx, e, d.Name) {
		if err = e.Remove(ctx, string(d.Name), true); err == nil {
			id, err = e.Create(ctx, p)
		}
	}
	if err == nil {
		if err = m.checkMade(ctx, e, id, p, s); err != nil {
			err = errors.Join(err, e.Remove(ctx, id, true))
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, fail.Exists) && killed != nil:
		return errors.Join(existsError(d.Name), saveSpec(m.Host.Dirs.Config, d.Name, killed))
	case errors.Is(err, fail.Exists):
		return errors.Join(existsError(d.Name), removeSpec(m.Host.Dirs.Config, d.Name))
	default:
		if ctx.Err() == nil { // else podman may still be working on it: the next call checks
			removeSpec(m.Host.Dirs.Config, d.Name)
			if s.Isolated {
				e.RemoveVolume(ctx, s.HomeVolume())
			}
		}
		return fail.Wrap(nil, err, "toolbox %s cannot be created", d.Name)
	}
	if killed != nil && killed.Isolated {
		e.RemoveVolume(ctx, killed.HomeVolume()) // nobody uses it: its container was never finished
	}
	join.Forget(m.Host.TbxRuntime(), string(d.Name))
	m.warnOfStorage(ctx, e, id)
	if text := withoutSession(m.Host, d.Name, s); text != "" {
		m.Progress.Warn(text, "if you want them, log in, and make the toolbox from that session")
	}
	return nil
}

// specify plans a toolbox, prepares podman's mounts, and writes the specification. killed
// is the previous specification, of a create that podman may still be working on.
func (m *Manager) specify(ctx context.Context, d *Draft, from Image) (p *Plan, killed *Spec, err error) {
	err = m.amongIsolated(ctx, d.Name, d.spec, func() (err error) {
		if p, err = m.prepare(d, from); err == nil {
			killed, _ = loadSpec(m.Host.Dirs.Config, d.Name)
			err = saveSpec(m.Host.Dirs.Config, d.Name, d.spec)
		}
		return err
	})
	return p, killed, err
}

// amongIsolated calls do while no other isolated toolbox is made, if this one is
// isolated: the shares of others must not change between the check and the result.
func (m *Manager) amongIsolated(ctx context.Context, name Name, s *Spec, do func() error) error {
	if !s.Isolated {
		return do()
	}
	lock, err := flock.Wait(ctx, filepath.Join(m.Host.TbxRuntime(), "locks", ".isolated"))
	if err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be created", name)
	}
	defer lock.Close()
	if err := m.checkOverlap(name, s); err != nil {
		return err
	}
	return do()
}

// yourDirectory is a hint where a directory cannot be a home.
const yourDirectory = "name a directory that is yours, or that is not there yet in one of yours"

// prepare plans a toolbox and prepares the sources of its mounts.
func (m *Manager) prepare(d *Draft, from Image) (*Plan, error) {
	p, err := m.Plan(d, from)
	if err == nil {
		err = m.makeHome(d.spec)
	}
	if home := d.spec.Home; err == nil && home != "" {
		if err = unix.Access(home, unix.W_OK|unix.X_OK); err != nil {
			err = fail.Wrap(nil, err, "%s cannot be the toolbox's home: you cannot write there", home).Hint(yourDirectory)
		}
	}
	if err == nil {
		err = m.prepareIsolated(d.spec)
	}
	if err == nil {
		err = checkSources(p)
	}
	return p, err
}

// checkMade refuses a new container that must not be started, because of its image's
// contents, or because it shares the storage of the podman that made it.
func (m *Manager) checkMade(ctx context.Context, e Engine, id string, p *Plan, s *Spec) error {
	if len(s.sharedSources()) > 0 {
		c, err := e.Inspect(ctx, id)
		if err == nil {
			err = checkStorage(s, c)
		}
		if err != nil {
			return err
		}
	}
	return m.checkTablesOnce(ctx, e, id, p.Image, s.Image)
}

// halfMade reports whether name is taken by leftovers of a killed podman in its storage,
// which no podman knows as a container. A container that podman is about to finish does
// not count.
func (m *Manager) halfMade(ctx context.Context, e Engine, name Name) bool {
	const finished, poll = 3 * time.Second, 50 * time.Millisecond
	for begin := time.Now(); time.Since(begin) < finished && ctx.Err() == nil; time.Sleep(poll) {
		if _, err := e.Inspect(ctx, string(name)); !errors.Is(err, fail.NotFound) {
			return false
		}
	}
	return ctx.Err() == nil
}

// withoutSession returns a warning about the integrations that the toolbox will lack,
// because it is made outside of a session; or "".
func withoutSession(h *Host, name Name, s *Spec) string {
	if some, _ := h.facts(s).InRuntime(); h.HasRuntime || s.Isolated || !some {
		return ""
	}
	return fmt.Sprintf("toolbox %s has no access to Wayland, sound, the session bus and agents: you have no session here, neither "+
		"XDG_RUNTIME_DIR nor /run/user/%d", name, h.UID)
}

// mustNotExist makes sure that name is free, for a container and for a specification. An
// existing specification may belong to a toolbox that podman renamed, and must not be
// lost.
func (m *Manager) mustNotExist(ctx context.Context, e Engine, name Name) error {
	c, err := e.Inspect(ctx, string(name))
	switch {
	case err == nil && c.Name == string(name): // else podman found it as the beginning of an id
		b := m.inspected(c)
		switch {
		case b.Managed():
		case b.Maker() == "":
			return fail.New(fail.Exists, "the name %s is taken by a container that is not a toolbox", name).Hint("choose another name")
		default:
			return fail.New(fail.Exists, "toolbox %s exists: %s made it", name, b.Maker()).
				Hint("choose another name, enter it with: tbx enter %s, or take it over with: tbx adopt %s", name, name)
		}
		return existsError(name)
	case err != nil && !errors.Is(err, fail.NotFound):
		return err
	case !m.hasSpec(name):
		return nil
	}
	all, err := e.List(ctx)
	if err == nil {
		m.followRename(name, all)
	}
	return err
}

func existsError(name Name) error {
	return fail.New(fail.Exists, "toolbox %s exists", name).
		Hint("enter it with: tbx enter %s", name).Hint("or remove it with: tbx rm %s", name)
}

// makeHome makes the directory for --home. It belongs to the user: rm does not touch it.
func (m *Manager) makeHome(s *Spec) error {
	if s.Home == "" {
		return nil
	}
	if err := os.MkdirAll(s.Home, 0o700); err != nil {
		return fail.Wrap(nil, err, "the home for the toolbox cannot be made").Hint(yourDirectory)
	}
	return nil
}

// CheckFree returns an error that wraps fail.Exists when name is taken. It saves
// the user a download; Create checks again.
func (m *Manager) CheckFree(ctx context.Context, name Name) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	return m.mustNotExist(ctx, e, name)
}
