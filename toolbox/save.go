package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox/layers"
	"github.com/tbx-project/tbx/toolbox/savefile"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// SaveOptions is what a user asks of a file with a toolbox.
type SaveOptions struct {
	Snapshot string // save the toolbox as it was at this one; empty: as it is now
	WithHome bool   // with the home of its own that it has
}

// SavedImage is the image of a toolbox that is saved.
type SavedImage struct {
	Digests []string                                           // by which registries have it
	Write   func(ctx context.Context, archive io.Writer) error // writes it into the file; nil: it is named only
}

// SaveBegin begins the file that a toolbox is saved in.
type SaveBegin func(*savefile.Manifest) (savefile.Writer, error)

// Save writes a toolbox, with all that it holds, to a file that Load makes one of. The file
// is whole when its caller has ended it. One
// that runs is copied first, see Snapshot, and nothing in it stops for longer than that; one
// that does not run is kept from being started until it is written.
func (m *Manager) Save(ctx context.Context, name Name, o SaveOptions, img SavedImage, begin SaveBegin) (*savefile.Manifest, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	lock, err := m.lockSnapshots(ctx, b.Spec.ID)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := m.settleSnapshots(ctx, b.Spec.ID); err != nil {
		return nil, err
	}
	s := &saving{Manager: m, engine: e, box: b, spec: b.Spec, options: o, image: img}
	if err = s.check(); err == nil {
		err = s.save(ctx, begin)
	}
	if err = errors.Join(err, s.release(context.WithoutCancel(ctx))); err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s was not saved", name)
	}
	return s.made, nil
}

// saving is a toolbox that is being saved.
type saving struct {
	*Manager
	engine  Engine
	box     *Box
	spec    *Spec // of the toolbox, or of the snapshot
	options SaveOptions
	image   SavedImage

	layer *layers.Layer // that stands still
	home  string        // directory of the home; empty: it is left out
	held  *flock.Lock   // keeps the toolbox from being started
	copy  *holder       // or what keeps a copy of it
	made  *savefile.Manifest
}

// check refuses what cannot be.
func (s *saving) check() error {
	name := s.box.Name
	switch {
	case !s.options.WithHome:
	case s.options.Snapshot != "":
		return fail.New(fail.Usage, "a snapshot has no home in it").Hint("leave --with-home or --snapshot away")
	case !s.spec.Isolated && s.spec.Home == "":
		return fail.New(fail.Usage, "toolbox %s has no home of its own: it shares yours", name).Hint("leave --with-home away")
	case s.box.runs():
		return fail.New(nil, "toolbox %s is running, and its home changes meanwhile", name).Hint("stop it first: tbx stop %s", name)
	}
	return nil
}

// hold finds a layer that stands still, and sees to that it does.
func (s *saving) hold(ctx context.Context) (err error) {
	if s.options.Snapshot != "" {
		h, err := s.snapshot(ctx, s.box, s.options.Snapshot)
		if err != nil {
			return err
		}
		s.spec = h.record.Snapshot.Spec
		s.layer, err = s.engine.Layer(ctx, h.ID)
		return err
	}
	if !s.box.runs() {
		if s.held, err = s.lock(ctx, s.box.Name); err != nil {
			return err
		}
		now, err := s.Find(ctx, s.box.Name)
		if err != nil {
			return err
		}
		if now.ID == s.box.ID && !now.runs() {
			s.box = now
			s.layer, err = s.engine.Layer(ctx, now.ID)
			return err
		}
		return fail.New(nil, "it was started or changed meanwhile").Hint("try again")
	}
	s.stage("preparing to save toolbox %s", s.box.Name)
	if err := s.sweepStored(ctx, s.engine); err != nil {
		return err
	}
	id, err := s.engine.Create(ctx, s.newHolder(s.spec))
	if err != nil {
		return err
	}
	s.copy = &holder{Container: Container{ID: id, Name: id}} // without a record: any later call removes it
	if s.layer, err = s.engine.Layer(ctx, id); err != nil {
		return err
	}
	_, err = s.copyBox(ctx, s.engine, s.box, s.layer)
	return err
}

// release ends what hold began.
func (s *saving) release(ctx context.Context) error {
	if s.held != nil {
		s.held.Close()
	}
	if s.copy != nil {
		return s.dropHolder(ctx, s.engine, s.copy)
	}
	return nil
}

func (s *saving) save(ctx context.Context, begin SaveBegin) error {
	if err := s.hold(ctx); err != nil {
		return err
	}
	if s.layer.Driver != "overlay" && s.layer.Driver != "vfs" {
		return fail.New(fail.Unable, "podman keeps containers by its storage driver %s, from which tbx cannot save", s.layer.Driver).
			Hint("the driver overlay can, containers-storage.conf(5)")
	}
	if err := s.describe(ctx); err != nil {
		return err
	}
	w, err := begin(s.made)
	if err == nil {
		err = s.parts(ctx, w)
	}
	if err == nil {
		err = s.stillThere(ctx)
	}
	return err
}

// describe makes the manifest.
func (s *saving) describe(ctx context.Context) error {
	s.made = &savefile.Manifest{
		Toolbox: string(s.box.Name), Made: time.Now().UTC().Truncate(time.Second), Spec: s.spec.Text(), Snapshot: s.options.Snapshot,
		Image:  savefile.Image{Reference: s.spec.Image, ID: s.spec.ImageID, Digests: s.image.Digests},
		Driver: s.layer.Driver, UID: uint32(s.Host.UID), GID: uint32(s.Host.GID),
	}
	if s.image.Write != nil {
		s.made.Parts = append(s.made.Parts, savefile.PartImage)
	}
	s.made.Parts = append(s.made.Parts, savefile.PartLayer)
	dirs := []string{s.layer.Upper}
	if s.options.WithHome {
		if s.home = s.spec.Home; s.spec.Isolated {
			var err error
			if s.home, err = s.homeDir(ctx, s.engine, s.box.ID); err != nil {
				return err
			}
		}
		s.made.Parts, dirs = append(s.made.Parts, savefile.PartHome), append(dirs, s.home)
	}
	for _, dir := range dirs {
		size, err := s.space().Measure(ctx, dir)
		if err != nil {
			return err
		}
		s.made.Entries, s.made.Bytes = s.made.Entries+size.Entries, s.made.Bytes+size.Bytes
	}
	return nil
}

// parts writes them.
func (s *saving) parts(ctx context.Context, w savefile.Writer) error {
	what := "toolbox " + string(s.box.Name)
	shown := &counted{progress: s.Progress, what: "saving " + what, of: s.made.Bytes}
	tree := func(what string, o treecopy.PackOrder) func(io.Writer) error {
		return func(w io.Writer) error { return s.space().Pack(ctx, what, o, shown.writer(w)) }
	}
	if s.image.Write != nil {
		s.stage("saving image %s", s.spec.Image)
		if err := w.Part(savefile.PartImage, func(w io.Writer) error { return s.image.Write(ctx, w) }); err != nil {
			return err
		}
	}
	shown.begin()
	if err := w.Part(savefile.PartLayer, tree(what, s.layer.PackOrder(s.layer.Upper, ""))); err != nil || s.home == "" {
		return err
	}
	return w.Part(savefile.PartHome, tree("the home of "+what, s.layer.PackOrder(s.home, "")))
}

// stillThere says whether what was written is what stood still: podman may have started the
// toolbox behind tbx's back.
func (s *saving) stillThere(ctx context.Context) error {
	if s.held == nil {
		return nil
	}
	now, err := s.Find(ctx, s.box.Name)
	if err == nil && (now.ID != s.box.ID || now.runs() || !now.Started.Equal(s.box.Started)) {
		err = fail.New(nil, "podman started it meanwhile").Hint("try again")
	}
	return err
}

// counted shows how much of something has passed.
type counted struct {
	progress Progress
	what     string
	of, done int64
	told     time.Time
}

func (c *counted) begin() {
	c.told = time.Now()
	c.progress.Stage(fmt.Sprintf("%s: %s", c.what, bytesize.Text(c.of)))
}

// pass takes some bytes more.
func (c *counted) pass(n int) {
	c.done += int64(n)
	if time.Since(c.told) > 200*time.Millisecond {
		c.told = time.Now()
		share := 100
		if c.of > c.done {
			share = int(100 * c.done / c.of)
		}
		c.progress.Update(fmt.Sprintf("%s: %s of %s, %d%%", c.what, bytesize.Text(min(c.done, c.of)), bytesize.Text(c.of), share))
	}
}

type passing struct {
	c *counted
	w io.Writer
	r io.Reader
}

func (c *counted) writer(w io.Writer) io.Writer { return &passing{c: c, w: w} }
func (c *counted) reader(r io.Reader) io.Reader { return &passing{c: c, r: r} }

func (p *passing) Write(data []byte) (int, error) {
	p.c.pass(len(data))
	return p.w.Write(data)
}

func (p *passing) Read(data []byte) (int, error) {
	n, err := p.r.Read(data)
	p.c.pass(n)
	return n, err
}
