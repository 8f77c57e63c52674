package toolbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// An ephemeral toolbox is made for one session and removed after it. The tbx that made it
// can be killed, so its own first process ends it: that waits for a lock which the tbx
// holds as long as it lives, and which the kernel releases in any case. When the first
// process ends, podman removes the container (podman-create(1), --rm). So killing the
// watcher ends what it watches. If podman's monitor was killed too, or the machine
// stopped, the next tbx removes the leftovers: nobody holds the lock any more.
//
// It has no specification among the user's settings: its container carries it.

// Ephemeral is a toolbox that is made for one session. Its maker must stay until the
// session has ended, and then call Close.
type Ephemeral struct {
	Name    Name
	manager *Manager
	owner   *owner
}

// ephemeralPrefix begins the names of ephemeral toolboxes, before random hex digits.
const ephemeralPrefix = "ephemeral-"

func newEphemeralName() Name {
	random := make([]byte, 6)
	rand.Read(random) // never fails
	return Name(ephemeralPrefix + hex.EncodeToString(random))
}

// ephemeralDir holds a file for each ephemeral toolbox, locked by its maker, with the
// specification as JSON, and the log of its start. There is one directory for each
// storage that the caller's variables select: a tbx that looks in another storage would
// think that the container is gone.
func (m *Manager) ephemeralDir() string {
	h, d := sha256.New(), m.Host.Dirs
	for _, s := range []string{
		d.Config, d.Data,
		lookup(m.Host.Env, "CONTAINERS_STORAGE_CONF"), lookup(m.Host.Env, "STORAGE_DRIVER"), lookup(m.Host.Env, "STORAGE_OPTS"),
	} {
		fmt.Fprintf(h, "%s\x00", s)
	}
	return filepath.Join(m.Host.TbxRuntime(), "ephemeral", hex.EncodeToString(h.Sum(nil)[:4]))
}

// Ephemeral reports whether the toolbox is removed when its session ends.
func (b *Box) Ephemeral() bool { return b.Spec != nil && b.Spec.Ephemeral != "" }

// Ephemeral makes a toolbox from d and starts it. The name in d is not used.
func (m *Manager) Ephemeral(ctx context.Context, d *Draft, from Image) (*Ephemeral, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := installBox(boxDir(m.Host), m.BoxFile); err != nil {
		return nil, err
	}
	made, err := m.ownOne(d.spec)
	if err != nil {
		return nil, err
	}
	own := *d
	own.Name = made.Name
	if err := m.makeEphemeral(ctx, e, &own, from); err != nil {
		return nil, errors.Join(fail.Wrap(nil, err, "an ephemeral toolbox cannot be created"), made.Close(ctx))
	}
	if _, err := m.Start(ctx, made.Name); err != nil {
		return nil, errors.Join(withoutLogs(err), made.Close(ctx))
	}
	return made, nil
}

// ownOne chooses a name and takes its lock.
func (m *Manager) ownOne(s *Spec) (*Ephemeral, error) {
	const attempts = 8 // of 2^48 names each
	var err error
	for range attempts {
		name := newEphemeralName()
		path := filepath.Join(m.ephemeralDir(), string(name))
		s.Ephemeral = path
		var content []byte
		if content, err = json.Marshal(s); err != nil {
			return nil, err
		}
		var o *owner
		if o, err = takeOwner(path, content); err == nil {
			return &Ephemeral{name, m, o}, nil
		}
	}
	return nil, fail.Wrap(nil, err, "an ephemeral toolbox cannot be locked").
		Hint("tbx keeps a lock for it in %s; make that writable", m.ephemeralDir())
}

// makeEphemeral makes the container.
func (m *Manager) makeEphemeral(ctx context.Context, e Engine, d *Draft, from Image) error {
	s := d.spec
	var p *Plan
	err := m.amongIsolated(ctx, d.Name, s, func() (err error) {
		p, err = m.prepare(d, from)
		return err
	})
	if err != nil {
		return err
	}
	m.stage("creating a toolbox from %s", from.Reference)
	id, err := e.Create(ctx, p)
	if err == nil {
		err = m.checkMade(ctx, e, id, p, s)
	}
	return err
}

// ephemeral turns p into the plan of a toolbox that ends with its owner.
func (p *Plan) ephemeral(s *Spec, h *Host) {
	if s.Ephemeral == "" {
		return
	}
	p.Ephemeral = true
	p.Command = append(p.Command, boxinit.WhileOwned)
	options := []string{"rbind", "ro", "rprivate"}
	if s.Isolated {
		options = []string{"rbind", "nosuid", "nodev", "z", "ro", "rprivate"}
	}
	p.Mounts = append(p.Mounts, Mount{Type: "bind", Source: s.Ephemeral, Target: boxinit.Owner, Options: options,
		Reason: "locked while the tbx that made the toolbox lives; the toolbox ends when the lock is free"})
	for i := range p.Mounts {
		if mt := &p.Mounts[i]; s.Isolated && mt.Type == "volume" && mt.Target == h.RealHome {
			mt.Source = "" // an anonymous volume, which podman removes with the container
		}
	}
}

// carriedEphemeral returns the specification of an ephemeral toolbox, or nil. An image
// cannot fake one: tbx sets the label on every container, and it must agree with the id,
// which is new for each.
func (b *Box) carriedEphemeral() *Spec {
	s := &Spec{}
	if json.Unmarshal([]byte(b.Labels[LabelSpecification]), s) != nil || s.Ephemeral == "" ||
		s.ID != b.Labels[LabelID] || s.Hash() != b.Labels[LabelSpec] {
		return nil
	}
	return s
}

// namelessHome reports whether a volume is the home of an isolated ephemeral toolbox,
// which its user did not ask for.
func (b *Box) namelessHome(v Mapping) bool {
	return b.Ephemeral() && v.Source != "" && !slices.ContainsFunc(b.Spec.Volumes, func(asked string) bool {
		m, err := ParseVolume(asked)
		return err == nil && m.Target == v.Target
	})
}

// Close ends the toolbox and removes it with all of tbx's files about it.
func (t *Ephemeral) Close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // an interruption is a reason to clean up
	defer t.owner.close()
	return t.manager.removeEphemeral(ctx, t.Name)
}

// removeEphemeral removes an ephemeral toolbox, or the rest of it. The caller holds the
// lock of its owner.
func (m *Manager) removeEphemeral(ctx context.Context, name Name) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	m.stage("removing toolbox %s", name)
	defer m.stage("")
	c, err := e.Inspect(ctx, string(name))
	switch {
	case errors.Is(err, fail.NotFound):
		e.Remove(ctx, string(name), true) // a killed podman may have left something in its storage only
		m.clearEphemeral(name, "", nil)
		return nil
	case err != nil:
		return err
	}
	b := m.box(c)
	if c.Name != string(name) || !b.Ephemeral() {
		return nil // it belongs to somebody else by now
	}
	if err := m.endEphemeral(ctx, e, b); err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be removed", name).Hint("end it with: tbx stop %s", name)
	}
	m.clearEphemeral(name, b.ID, b.Spec)
	return nil
}

// endEphemeral ends the toolbox's processes, and waits until podman's monitor, which has
// begun by then, has removed the container.
func (m *Manager) endEphemeral(ctx context.Context, e Engine, b *Box) error {
	var held *join.Held
	if s, err := m.state(b); err == nil {
		held = s.Hold(b.PID)
		defer held.Close()
		if has, err := s.HasCgroup(); err == nil && !has {
			held.Sweep(0)
		}
	}
	const patience, poll = 10 * time.Second, 20 * time.Millisecond
	var err error
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(poll) {
		if err = m.bury(ctx, e, b); err == nil || errors.Is(err, fail.NotFound) {
			err = e.Remove(ctx, b.ID, true)
		}
		held.Sweep(0) // containers inside may be in cgroups of the user's manager
		if _, gone := e.Inspect(ctx, b.ID); errors.Is(gone, fail.NotFound) {
			return nil
		}
	}
	if err == nil {
		err = errors.New("podman still has it after ten seconds")
	}
	return err
}

// clearEphemeral removes the files of an ephemeral toolbox. id is the container's and s
// the specification, if they are known.
func (m *Manager) clearEphemeral(name Name, id string, s *Spec) {
	path := filepath.Join(m.ephemeralDir(), string(name))
	if s == nil {
		s = readOwner(path)
	}
	if id == "" {
		if r, err := join.Load(m.Host.TbxRuntime(), string(name)); err == nil {
			id = r.ID
		}
	}
	join.Forget(m.Host.TbxRuntime(), string(name))
	if id != "" {
		os.RemoveAll(filepath.Join(m.Host.TbxRuntime(), "inside", id))
	}
	if m.Bridge != nil {
		for _, key := range []string{id, idOf(s)} {
			if key != "" {
				os.RemoveAll(m.Bridge(key))
			}
		}
	}
	removeFile(path + logEnding)
	removeFile(path + endEnding)
	removeFile(filepath.Join(m.Host.TbxRuntime(), "locks", string(name)))
	removeFile(path)
}

func idOf(s *Spec) string {
	if s == nil {
		return ""
	}
	return s.ID
}

// SweepEphemeral removes ephemeral toolboxes whose owner is gone. Without any it only
// reads one directory, except for the first call after a boot, which looks at all
// containers.
func (m *Manager) SweepEphemeral(ctx context.Context) error {
	files, err := os.ReadDir(m.ephemeralDir())
	if errors.Is(err, os.ErrNotExist) {
		return m.sweepLastBoot(ctx)
	}
	var failed []error
	for _, f := range files {
		if name := Name(f.Name()); isEphemeralName(name) {
			failed = append(failed, m.sweepOne(ctx, name, filepath.Join(m.ephemeralDir(), f.Name())))
		}
	}
	return errors.Join(append(failed, err)...)
}

// sweepOne removes an ephemeral toolbox if nobody holds its lock.
func (m *Manager) sweepOne(ctx context.Context, name Name, path string) error {
	o, err := orphaned(path)
	if o == nil || err != nil {
		return err
	}
	defer o.close()
	if o.fresh() && !m.started(name) {
		if e, err := m.Engine(ctx); err == nil {
			if _, err := e.Inspect(ctx, string(name)); errors.Is(err, fail.NotFound) {
				return nil // podman may still be making it: the lock stays for the next tbx
			}
		}
	}
	return m.removeEphemeral(ctx, name)
}

// started reports whether an ephemeral toolbox was set up.
func (m *Manager) started(name Name) bool {
	_, err := join.Load(m.Host.TbxRuntime(), string(name))
	return err == nil
}

// leftover reports whether a killed tbx left this toolbox, and removes it.
func (m *Manager) leftover(ctx context.Context, b *Box) bool {
	if !b.Ephemeral() || b.runs() && m.alive(b) {
		return false
	}
	o, err := orphaned(b.Spec.Ephemeral)
	if o == nil || err != nil {
		return false
	}
	defer o.close()
	if err := m.removeEphemeral(ctx, b.Name); err != nil {
		m.debug("toolbox %s: %v", b.Name, err)
	}
	return true
}

// sweepLastBoot removes leftovers of the last boot: the locks disappeared with the
// runtime directory. A container whose first process lives is still in use: by the same
// user with another runtime directory, or after the end of the last session removed that.
func (m *Manager) sweepLastBoot(ctx context.Context) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	all, err := e.List(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if !isEphemeralName(Name(all[i].Name)) {
			continue
		}
		c, err := e.Inspect(ctx, all[i].ID)
		if err != nil {
			continue // podman is removing it
		}
		m.leftover(ctx, m.box(c))
	}
	return os.MkdirAll(m.ephemeralDir(), 0o700)
}

func isEphemeralName(name Name) bool {
	random, ok := strings.CutPrefix(string(name), ephemeralPrefix)
	return ok && len(random) == 12 && strings.Trim(random, "0123456789abcdef") == ""
}

// ephemeralSpecs returns the specifications of the present ephemeral toolboxes.
func (m *Manager) ephemeralSpecs() map[Name]*Spec {
	files, _ := os.ReadDir(m.ephemeralDir())
	out := map[Name]*Spec{}
	for _, f := range files {
		if s := readOwner(filepath.Join(m.ephemeralDir(), f.Name())); s != nil && isEphemeralName(Name(f.Name())) {
			out[Name(f.Name())] = s
		}
	}
	return out
}

// withoutLogs removes the advice from an error to read a log that was removed with the
// toolbox.
func withoutLogs(err error) error {
	var own *fail.Error
	if errors.As(err, &own) {
		own.Hints = slices.DeleteFunc(own.Hints, func(h string) bool { return strings.Contains(h, "tbx logs ") })
		own.Hint("to look into it, make one that stays: tbx create")
	}
	return err
}
