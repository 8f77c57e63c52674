package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/nearest"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Manager carries out a user's requests about toolboxes.
type Manager struct {
	Host     *Host
	Engine   func(context.Context) (Engine, error) // connects on first use: the fast path needs no engine
	BoxFile  string                                // the program tbx-box as installed beside tbx
	Progress Progress
	Files    []ShellFile                      // put into every toolbox
	Debug    func(format string, args ...any) // for debugging; may be nil
	Prompt   string                           // what the shell's prompt shows, %s for the name; empty: nothing
	Bridge   func(key string) string          // directory on the host of a toolbox's bridge to it
}

// Box is a toolbox: its container and its specification.
type Box struct {
	Name Name
	Container
	Spec    *Spec // nil for a toolbox that tbx did not make, or whose specification is unusable
	SpecErr error // why a toolbox that tbx made has no Spec

	specMissing bool // SpecErr means that there is no file
}

// Isolated reports whether the container was made isolated, whatever its file says.
func (b *Box) Isolated() bool { return b.Managed() && b.Labels[LabelIsolated] == "true" }

// Managed reports whether tbx made the toolbox.
func (b *Box) Managed() bool { return b.Spec != nil || b.SpecErr != nil }

// lockTimeout is how long a call waits for another tbx that works on the same toolbox.
const lockTimeout = 2 * time.Minute

func (m *Manager) lockFile(name Name) string {
	return filepath.Join(m.Host.TbxRuntime(), "locks", string(name))
}

func (m *Manager) lock(ctx context.Context, name Name) (*flock.Lock, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("waited two minutes"))
	defer cancel()
	l, err := flock.Wait(ctx, m.lockFile(name))
	if err != nil {
		e := fail.Wrap(nil, err, "toolbox %s cannot be locked", name)
		if errors.Is(err, unix.EROFS) {
			e.Hint("the runtime directory is read-only here, as in a unit with ProtectHome= or ProtectSystem=; call tbx from outside of that")
		}
		return nil, e
	}
	if err := m.repairOf(ctx, name); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Find returns the toolbox of that name, or an error that wraps fail.NotFound.
func (m *Manager) Find(ctx context.Context, name Name) (*Box, error) {
	if err := m.repairFree(ctx, name); err != nil {
		return nil, err
	}
	return m.find(ctx, name, "see which there are: tbx list")
}

// find is Find with a hint for a missing toolbox.
func (m *Manager) find(ctx context.Context, name Name, hint string) (*Box, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	c, err := e.Inspect(ctx, string(name))
	if errors.Is(err, fail.NotFound) {
		return nil, m.notFound(ctx, e, name, hint)
	}
	if err != nil {
		return nil, err
	}
	if c.Name != string(name) { // podman accepts the beginning of an id as a name
		return nil, m.notFound(ctx, e, name, hint)
	}
	b := m.inspected(c)
	if !b.Managed() && b.Maker() == "" {
		return nil, fail.New(fail.NotFound, "container %s is not a toolbox", name).
			Hint("enter it with: podman exec -it %s sh", name)
	}
	return b, nil
}

// box combines a container with its specification. podman can rename a container without
// tbx. So the label, not the name, connects the two, and the file is renamed too.
func (m *Manager) box(c *Container) *Box {
	b := &Box{Name: Name(c.Name), Container: *c}
	id := c.Labels[LabelID]
	if _, err := ParseName(c.Name); err != nil || id == "" || !c.ours() {
		return b
	}
	defer m.distrust(b)
	s, err := loadSpec(m.Host.Dirs.Config, b.Name)
	if err == nil && s.ID == id {
		b.specified(s)
		return b
	}
	for _, old := range specNames(m.Host.Dirs.Config) {
		if s, err := loadSpec(m.Host.Dirs.Config, old); err == nil && s.ID == id {
			if saveSpec(m.Host.Dirs.Config, b.Name, s) == nil {
				m.forget(old)
			}
			b.specified(s)
			return b
		}
	}
	if s := b.carriedEphemeral(); s != nil {
		b.specified(s)
		return b
	}
	if b.SpecErr = err; errors.Is(err, fs.ErrNotExist) || err == nil {
		b.specMissing = true
		b.SpecErr = fail.New(nil, "the specification of toolbox %s is missing: %s", b.Name, specFile(m.Host.Dirs.Config, b.Name)).
			Hint("restore the file, for example from a backup; the toolbox's contents are untouched")
	}
	return b
}

// specified gives the toolbox its specification, and the name of its image that is in it:
// of an image that has several, podman says any.
func (b *Box) specified(s *Spec) {
	b.Spec = s
	if s.ImageID == b.ImageID && !strings.HasPrefix(s.ImageID, s.Image) { // else it was named by its ID, or not at all
		b.Image = s.Image
	}
}

// inspected is box for a container of which everything is known. One without a
// specification counts as tbx's only if tbx-box is mounted into it: labels and
// command may be its image's.
func (m *Manager) inspected(c *Container) *Box {
	b := m.box(c)
	if b.Spec == nil && !c.hasBox() {
		b.SpecErr = nil
		return b
	}
	m.restoreSpec(b)
	return b
}

// distrust replaces a specification that contradicts its container by an error.
func (m *Manager) distrust(b *Box) {
	if b.Spec == nil {
		return
	}
	if err := b.mismatch(specFile(m.Host.Dirs.Config, b.Name)); err != nil {
		b.Spec, b.SpecErr = nil, err
	}
}

// notFound returns the error for a name without a toolbox: nobody has it, it was renamed,
// or its container is gone.
func (m *Manager) notFound(ctx context.Context, e Engine, name Name, hint string) error {
	join.Forget(m.Host.TbxRuntime(), string(name))
	err := fail.New(fail.NotFound, "there is no toolbox %s", name)
	all, lerr := e.List(ctx)
	if lerr != nil {
		return err.Hint("%s", hint)
	}
	if now := m.followRename(name, all); now != "" {
		return err.Hint("it is called %s now", now)
	}
	for _, c := range all {
		if of, kind, ok := apartOf(c.Name); ok && of == name && kind != apartAdopted {
			return fail.New(nil, "toolbox %s is being changed by another tbx, or that was interrupted", name).
				Hint("tbx list repairs what was interrupted")
		}
	}
	if s, serr := loadSpec(m.Host.Dirs.Config, name); serr == nil {
		if err := m.elsewhere(ctx, e, name); err != nil {
			return err
		}
		isolated := ""
		if s.Isolated {
			isolated = "--isolated "
		}
		return fail.New(fail.NotFound, "toolbox %s has no container: podman removed it, or its creation was interrupted", name).
			Hint("make it anew with: tbx create %s--image %s %s", isolated, s.Image, name).Hint("or forget it with: tbx rm %s", name)
	}
	var names []string
	for _, c := range settled(all) {
		names = append(names, c.Name)
	}
	if near := nearest.Names(string(name), names); len(near) > 0 {
		err.Hint("did you mean %s?", strings.Join(near, ", "))
	}
	return err.Hint("%s", hint)
}

// followRename moves the specification of name to the name that podman has given its
// container since, and returns that name, or "".
func (m *Manager) followRename(name Name, all []Container) string {
	s, err := loadSpec(m.Host.Dirs.Config, name)
	if err != nil {
		return ""
	}
	all = settled(all)
	for i := range all {
		if all[i].ours() && all[i].Labels[LabelID] == s.ID && all[i].Name != string(name) {
			if b := m.box(&all[i]); b.Spec != nil {
				m.forget(name) // and leftovers of an interrupted rename
			}
			return all[i].Name
		}
	}
	return ""
}

// List returns all toolboxes, tbx's own and those of the other makers, by name.
func (m *Manager) List(ctx context.Context) ([]*Box, error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	all, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	if m.repairAll(ctx, e, all) {
		if all, err = e.List(ctx); err != nil {
			return nil, err
		}
	}
	others, err := foreign(ctx, e, all)
	if err != nil {
		return nil, err
	}
	all = shown(append(all, others...))
	out := make([]*Box, 0, len(all))
	for i := range all {
		b := m.box(&all[i])
		if b.SpecErr != nil {
			if c, err := e.Inspect(ctx, b.ID); err == nil {
				b = m.inspected(c)
			}
		}
		if (b.Managed() || b.Maker() != "") && !m.leftover(ctx, b) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b *Box) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return out, nil
}

// hasSpec reports whether there is a specification for name. Without a container, a
// killed create left it.
func (m *Manager) hasSpec(name Name) bool {
	_, err := loadSpec(m.Host.Dirs.Config, name)
	return !errors.Is(err, fs.ErrNotExist)
}

func (m *Manager) debug(format string, args ...any) {
	if m.Debug != nil {
		m.Debug(format, args...)
	}
}

func (m *Manager) stage(format string, args ...any) { m.Progress.Stage(fmt.Sprintf(format, args...)) }
