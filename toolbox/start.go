package toolbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Start starts the toolbox if it is not running, sets it up and returns its record. For a
// running toolbox that is set up this is one look. It may be called any number of times,
// also after a start by podman or an interrupted start.
func (m *Manager) Start(ctx context.Context, name Name) (*join.Record, error) {
	return m.start(ctx, name, "tbx create "+string(name))
}

// start is Start; makes is the call that makes a missing toolbox.
func (m *Manager) start(ctx context.Context, name Name, makes string) (*join.Record, error) {
	lock, err := m.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if r, err := join.Load(m.Host.TbxRuntime(), string(name)); err == nil {
		if t, err := r.Open(m.Host.TbxRuntime()); err == nil { // another tbx was faster
			t.Close()
			return r, nil
		}
	}
	b, err := m.find(ctx, name, "create it with: "+makes)
	if err == nil {
		err = b.SpecErr
	}
	if err != nil {
		return nil, err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if !b.runs() {
		b = m.editThatWaited(ctx, e, b)
	}
	return m.bringUp(ctx, e, b)
}

// bringUp starts b if it is not running, sets it up and leaves a record. The caller holds
// the lock.
func (m *Manager) bringUp(ctx context.Context, e Engine, b *Box) (*join.Record, error) {
	var err error
	if b.Managed() && b.Spec.Isolated {
		defer m.clearStrays(ctx, b.boxDir(m.Host))
	}
	m.stage("starting toolbox %s", b.Name)
	if b, err = m.run(ctx, e, b); err != nil {
		return nil, err
	}
	if !b.Managed() {
		return m.foreignRecord(ctx, e, b), m.awaitForeign(ctx, e, b)
	}
	if err := m.secure(ctx, e, b); err != nil {
		return nil, err
	}
	return m.initialise(ctx, e, b)
}

// run makes the container run and returns podman's data about it.
func (m *Manager) run(ctx context.Context, e Engine, b *Box) (*Box, error) {
	if b.State == Paused {
		return nil, pausedError(b.Name)
	}
	m.thawed(ctx, b.ID) // if a snapshot was interrupted
	if b.State == Running && m.alive(b) {
		return b, nil
	}
	if b.runs() { // podman has not noticed that its first process died, or a stop did not end
		if err := m.stop(ctx, e, b, 0); err != nil {
			return nil, err
		}
	}
	if b.Managed() {
		if err := restoreBox(b.boxDir(m.Host), m.BoxFile, b.Command); err != nil {
			return nil, err
		}
		if err := m.prepareIsolated(b.Spec); err != nil {
			return nil, err
		}
	}
	if err := m.checkShared(b); err != nil {
		return nil, err
	}
	if b.Managed() && !b.Spec.Isolated {
		m.makeMountPoints(b)
	}
	if b.Managed() && b.Spec.Isolated {
		if err := m.checkInside(ctx, e, b); err != nil {
			return nil, err
		}
	}
	err := e.Start(ctx, b.ID)
	for range 4 {
		if err == nil || ctx.Err() != nil || noWay.MatchString(err.Error()) {
			break
		}
		// podman may still be cleaning up after the last run, which removes the root from
		// under this start.
		time.Sleep(250 * time.Millisecond)
		err = e.Start(ctx, b.ID)
	}
	if err != nil && m.mendStart(ctx, e, b, err) {
		err = e.Start(ctx, b.ID)
	}
	if err != nil {
		return nil, startError(b, err)
	}
	c, err := e.Inspect(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	if c.PID == 0 {
		return nil, endedError(ctx, e, b, c.ExitCode)
	}
	b.Container = *c
	return b, nil
}

// checkInside refuses to start an isolated toolbox because of its contents, which its
// root may have changed.
func (m *Manager) checkInside(ctx context.Context, e Engine, b *Box) error {
	c, err := e.Inspect(ctx, b.ID) // a list does not show the mounts
	if err != nil {
		return err
	}
	if err := checkTables(ctx, e, b.ID, b.Image); err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be started", b.Name).
			Hint("copy its contents out with: podman cp %s:DIRECTORY DIRECTORY", b.Name)
	}
	return m.checkWay(ctx, b, c)
}

// endedError reports that a toolbox ended as soon as it was started, with the reason if
// its first process gave one.
func endedError(ctx context.Context, e Engine, b *Box, code int) error {
	err := fail.New(nil, "toolbox %s ended as soon as it was started, with exit code %d", b.Name, code)
	if code == boxinit.ExitSwapped {
		err = fail.New(nil, "toolbox %s cannot be started: its first process found that a directory which it shares is another one "+
			"than when it was made, or that a link is on the way to it", b.Name).
			Hint("restore the shared directory; something in the toolbox, or in its image, may have put a link there")
	}
	said := bounded.Buffer{Most: 4 << 10}
	if e.Logs(ctx, b.ID, 1, &said) == nil && strings.TrimSpace(said.String()) == "" {
		return err.Hint("it printed nothing; see podman's data about it: podman inspect %s", b.Name)
	}
	return err.Hint("see its messages with: tbx logs %s", b.Name)
}

// checkShared finds missing shares of the toolbox, for which the runtime would only name
// a path.
func (m *Manager) checkShared(b *Box) error {
	for _, mt := range b.Mounts {
		if !filepath.IsAbs(mt.Source) {
			continue // the name of a volume
		}
		if _, err := os.Stat(mt.Source); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err := fail.New(nil, "toolbox %s cannot be started: it shares %s with the host, which is not there", b.Name, mt.Source)
		if strings.HasPrefix(mt.Source, "/run/user/") {
			return err.Hint("it exists while you are logged in, or from boot on after: loginctl enable-linger %s", m.Host.User)
		}
		return err.Hint("restore it: the toolbox itself is as it was")
	}
	return nil
}

func pausedError(name Name) error {
	return fail.New(nil, "toolbox %s is paused", name).Hint("continue it with: podman unpause %s", name)
}

// state returns the OCI runtime's state of the container.
func (m *Manager) state(b *Box) (join.RuntimeState, error) {
	return join.FindState(b.Runtime, m.Host.RuntimeDir, b.ID)
}

// alive reports whether the container's first process runs, which podman does not know if
// the monitor was killed.
func (m *Manager) alive(b *Box) bool {
	s, err := m.state(b)
	if s.Path == "" { // a runtime whose state tbx cannot read
		_, err := join.StartTime(b.PID)
		return err == nil
	}
	return err == nil && s.Alive(b.PID)
}

// initialise runs the initialiser in a running toolbox and leaves a record.
func (m *Manager) initialise(ctx context.Context, e Engine, b *Box) (*join.Record, error) {
	m.stage("setting up toolbox %s", b.Name)
	version, err := installBox(b.boxDir(m.Host), m.BoxFile)
	if err != nil {
		return nil, err
	}
	r, joinErr := m.newRecord(b)
	r.Box = filepath.Join(boxinit.BoxDir, version, "tbx-box")
	m.keepSpec(b)
	cfg := m.initConfig(b)
	if cfg.Files, err = m.ownFiles(b.boxDir(m.Host), version); err != nil {
		return nil, err
	}
	cfg.Files = append(cfg.Files, m.hostCopies(b.Spec)...)
	r.Start = startDir(r, b.boxDir(m.Host))
	cfg.StartDir, cfg.Started = r.Start, started(r.StartTime)
	trees := m.attachable(b, r, &cfg)
	defer closeAll(trees)
	if m.Bridge != nil && b.Spec.Has(integration.Bridge) && !b.Spec.Isolated { // an isolated one has it mounted
		seen := *r
		seen.HostFiles = cfg.HostFiles
		cfg.Bridge = seen.BoxPath(m.Bridge(b.ID))
	}
	log := m.openLog(b.Name)
	defer log.Close()
	init := initRun{manager: m, name: b.Name, log: log, config: cfg}
	var summary *boxinit.Summary
	if b.Spec.Isolated { // the initialiser, too, stays within the rights that podman gives the container
		summary, err = init.byEngine(ctx, e, b.ID, r.Box)
	} else {
		summary, err = init.byJoining(ctx, r, joinErr, trees)
	}
	if errors.Is(err, join.ErrStale) {
		if summary, err = init.byEngine(ctx, e, b.ID, r.Box); err == nil {
			joinErr = errors.Join(joinErr, errors.New("entered by podman"))
		}
	}
	if err != nil {
		return nil, m.orSELinux(b, err)
	}
	r.Shell, r.Wrote, r.HostFiles, r.Locales = summary.Shell, summary.Wrote, init.config.HostFiles, summary.Locales
	r.Archive = archiveStamp(r.PID)
	if r.HostFiles {
		r.Mounts = append(r.Mounts, notShared(cfg.Inside)...)
	}
	if summary.Watch {
		unix.Kill(r.PID, unix.SIGHUP) // its first process is the user's; at worst the file stays as it is
	}
	if joinErr == nil {
		if err := r.Save(m.Host.TbxRuntime()); err != nil {
			m.Progress.Warn("toolbox "+string(b.Name)+" will be slow to enter: "+err.Error(), "")
		}
	}
	return r, nil
}

// newRecord describes a running toolbox. The error is why it cannot be joined; even then
// the record is good for an entry by podman.
func (m *Manager) newRecord(b *Box) (*join.Record, error) {
	r := &join.Record{
		Name: string(b.Name), ID: b.ID, PID: b.PID, Env: b.Env, Home: m.Host.Home,
		Without: b.Spec.withoutAll(), Isolated: b.Spec.Isolated, Bridge: b.bridgeKey(),
	}
	for _, mt := range b.Mounts {
		if mt.Target != boxinit.HostView && mt.Target != boxinit.BoxDir && mt.Target != boxinit.Bridge && mt.Target != boxinit.Owner {
			r.Mounts = append(r.Mounts, join.Mapping{Host: mt.Source, Box: mt.Target})
		}
	}
	if m.Host.Home != m.Host.RealHome && b.Spec.Home == "" && b.Spec.Has(integration.Home) {
		r.Mounts = append(r.Mounts, join.Mapping{Host: m.Host.Home, Box: m.Host.Home})
	}
	var err error
	if r.StartTime, err = join.StartTime(b.PID); err != nil {
		return r, err
	}
	if r.MountNS, err = join.NamespaceID(strconv.Itoa(b.PID), "mnt"); err != nil {
		return r, err
	}
	if r.State, err = m.state(b); err != nil {
		return r, err
	}
	r.Names, err = join.ReadNames(b.NamesTable)
	return r, err
}
