package toolbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// CloneOptions is what a user asks of a toolbox that begins as another one is.
type CloneOptions struct {
	Name     Name
	Snapshot string // of the other one: begin as it was then; empty: as it is now
	Hostname string // empty: the other one's setting
	Home     string // a directory of the host; empty: the other one's setting
	WithHome bool   // begin with what is in the home of its own that the other one has
}

// CloneSource is what a toolbox, or a snapshot of it, is made from.
func (m *Manager) CloneSource(ctx context.Context, name Name, snapshot string) (Image, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return Image{}, err
	}
	s, _, err := m.cloneFrom(ctx, b, snapshot)
	if err != nil {
		return Image{}, err
	}
	return Image{Reference: s.Image, ID: s.ImageID}, nil
}

// cloneFrom returns the settings that a clone begins with, and the container of the
// snapshot, if it is to be one's.
func (m *Manager) cloneFrom(ctx context.Context, b *Box, snapshot string) (*Spec, *holder, error) {
	if snapshot == "" {
		return b.Spec, nil, nil
	}
	if _, err := m.Snapshots(ctx, b.Spec.ID); err != nil { // puts right what was interrupted
		return nil, nil, err
	}
	h, err := m.snapshot(ctx, b, snapshot)
	if err != nil {
		return nil, nil, err
	}
	return h.record.Snapshot.Spec, h, nil
}

// Clone makes a toolbox that has the settings of another one and holds what that holds.
// The other one may be running, see Snapshot. The new one has ids of its own, and so
// nothing of what a policy lets the other one ask the host for by its id. Until it is
// whole, there is no toolbox of its name. from is the image, as CloneSource has it.
func (m *Manager) Clone(ctx context.Context, name Name, o CloneOptions, from Image) error {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	busy, err := m.alone(ctx, e, o.Name)
	if err != nil {
		return err
	}
	defer busy.Close()
	of, h, err := m.cloneFrom(ctx, b, o.Snapshot)
	if err != nil {
		return err
	}
	s, err := m.cloneSpec(of, b.Name, &o)
	if err != nil {
		return err
	}
	c := &clone{filled: &filled{Manager: m, engine: e, from: string(b.Name), draft: &Draft{o.Name, s}}, source: b, holder: h, of: of,
		options: o}
	c.fill = c.copies
	if err := c.make(ctx, from); err != nil {
		return fail.Wrap(nil, err, "toolbox %s cannot be made from %s", o.Name, name)
	}
	return nil
}

// cloneSpec is the specification of a clone, and checks what was asked of it.
func (m *Manager) cloneSpec(of *Spec, name Name, o *CloneOptions) (*Spec, error) {
	if err := checkHostname(o.Hostname); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	rand.Read(id)
	s := *of
	s.ID, s.Created = hex.EncodeToString(id), time.Now().UTC().Truncate(time.Second)
	s.Adopted = "" // there is one way back, and it is the other one's
	s.Hostname = cmp.Or(o.Hostname, of.Hostname)
	s.Declared = "" // the clone is the user's own
	switch {
	case of.Isolated && o.Home != "":
		return nil, fail.New(fail.Usage, "toolbox %s is isolated: its home, and that of a clone of it, is kept by podman", name).
			Hint("to begin with a copy of it: --with-home")
	case of.Isolated && o.WithHome && o.Snapshot != "":
		return nil, fail.New(fail.Usage, "a snapshot has no home in it").Hint("leave out --with-home or --snapshot")
	case of.Isolated:
	case o.WithHome && of.Home == "":
		return nil, fail.New(fail.Usage, "toolbox %s has no home of its own: it shares yours, and so will its clone", name).
			Hint("leave out --with-home")
	case o.WithHome && o.Home == "":
		return nil, fail.New(fail.Usage, "--with-home copies the home of toolbox %s, %s: where to is not said", name, of.Home).
			Hint("say it with: --home DIRECTORY")
	}
	if o.Home != "" {
		home, err := filepath.Abs(o.Home)
		if err != nil {
			return nil, err
		}
		if s.Home = home; home == m.Host.RealHome || home == m.Host.Home {
			s.Home = ""
		}
		if o.WithHome && !emptyDir(home) {
			return nil, fail.New(fail.Exists, "%s is there already, and is no empty directory", home).
				Hint("choose another one, or leave out --with-home to use what is in it")
		}
	}
	return &s, nil
}

// emptyDir says whether path is an empty directory, or nothing.
func emptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0
}

// clone is a toolbox that is being made from another one.
type clone struct {
	*filled
	source  *Box
	holder  *holder // nil: it begins as the source is now
	of      *Spec   // the settings that it was made from
	options CloneOptions
}

// copies copies what the clone begins with.
func (c *clone) copies(ctx context.Context, id string) error {
	to, err := c.engine.Layer(ctx, id)
	if err != nil {
		return err
	}
	if c.holder != nil {
		err = c.copySnapshot(ctx, to)
	} else {
		_, err = c.copyBox(ctx, c.engine, c.source, to)
	}
	if err != nil || !c.options.WithHome {
		return err
	}
	from, into := c.of.Home, c.draft.spec.Home
	if c.of.Isolated {
		if from, err = c.homeDir(ctx, c.engine, c.source.ID); err == nil {
			into, err = c.homeDir(ctx, c.engine, id)
		}
	}
	if err != nil {
		return err
	}
	copied, err := c.startCopy(ctx, layers.Tree{What: "the home of toolbox " + string(c.source.Name), From: from, To: into})
	if err != nil {
		return err
	}
	defer copied.Close()
	if _, err := copied.Pass(""); err != nil {
		return err
	}
	if err := c.lastPass(ctx, c.engine, c.source, copied); err != nil {
		return err
	}
	return copied.Commit()
}

// copySnapshot copies what a snapshot keeps, which nobody changes but a rollback.
func (c *clone) copySnapshot(ctx context.Context, to *layers.Layer) error {
	lock, err := c.lockSnapshots(ctx, c.of.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	from, err := c.engine.Layer(ctx, c.holder.ID)
	if err == nil {
		err = layers.Fit(from, to)
	}
	if err != nil {
		return err
	}
	copied, err := c.startCopy(ctx, layers.CopyOf("snapshot "+c.options.Snapshot, from, to))
	if err != nil {
		return err
	}
	defer copied.Close()
	if _, err := copied.Pass(""); err != nil {
		return err
	}
	return copied.Commit()
}
