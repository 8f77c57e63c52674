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

// CloneOptions is a user's request for a copy of a toolbox.
type CloneOptions struct {
	Name     Name
	Snapshot string // of the original: copy that; empty: its present contents
	Hostname string // empty: the original's setting
	Home     string // a directory of the host; empty: the original's setting
	WithHome bool   // copy the files of the original's own home
}

// CloneSource returns the image of a toolbox, or of a snapshot of it.
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

// cloneFrom returns the settings that a clone starts with, and the container of the
// snapshot, if one is named.
func (m *Manager) cloneFrom(ctx context.Context, b *Box, snapshot string) (*Spec, *holder, error) {
	if snapshot == "" {
		return b.Spec, nil, nil
	}
	if _, err := m.Snapshots(ctx, b.Spec.ID); err != nil { // repairs interrupted work
		return nil, nil, err
	}
	h, err := m.snapshot(ctx, b, snapshot)
	if err != nil {
		return nil, nil, err
	}
	return h.record.Snapshot.Spec, h, nil
}

// Clone makes a toolbox with the settings and the contents of another one, which may be
// running, see Snapshot. The clone has ids of its own, so policy rules for the original's
// id do not apply to it. Until it is complete, there is no toolbox of its name. from is
// the image from CloneSource.
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

// cloneSpec checks the request and returns the specification of the clone.
func (m *Manager) cloneSpec(of *Spec, name Name, o *CloneOptions) (*Spec, error) {
	if err := checkHostname(o.Hostname); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	rand.Read(id)
	s := *of
	s.ID, s.Created = hex.EncodeToString(id), time.Now().UTC().Truncate(time.Second)
	s.Adopted = "" // there is one way back, and the original keeps it
	s.Hostname = cmp.Or(o.Hostname, of.Hostname)
	s.Declared = "" // the clone is the user's own
	switch {
	case of.Isolated && o.Home != "":
		return nil, fail.New(fail.Usage, "toolbox %s is isolated: podman keeps its home, and the home of a clone", name).
			Hint("to copy the files of its home: --with-home")
	case of.Isolated && o.WithHome && o.Snapshot != "":
		return nil, fail.New(fail.Usage, "a snapshot does not contain the home").Hint("leave out --with-home or --snapshot")
	case of.Isolated:
	case o.WithHome && of.Home == "":
		return nil, fail.New(fail.Usage, "toolbox %s has no home of its own: it shares yours, and so will its clone", name).
			Hint("leave out --with-home")
	case o.WithHome && o.Home == "":
		return nil, fail.New(fail.Usage, "--with-home copies the home of toolbox %s, %s, and needs a place for the copy", name, of.Home).
			Hint("name it with: --home DIRECTORY")
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
			return nil, fail.New(fail.Exists, "%s exists already, and is not an empty directory", home).
				Hint("choose another one, or leave out --with-home to use its contents")
		}
	}
	return &s, nil
}

// emptyDir reports whether path is an empty directory, or missing.
func emptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0
}

// clone is a toolbox in the making, from another one.
type clone struct {
	*filled
	source  *Box
	holder  *holder // nil: copy the source's present contents
	of      *Spec   // the settings of the source
	options CloneOptions
}

// copies copies the contents.
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

// copySnapshot copies a snapshot, which only a rollback changes.
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
