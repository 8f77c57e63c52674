package converge

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/toolbox"
)

// Lock keeps others from applying the same declaration, until it is closed. Where one
// does it now, the error says so.
func (c *Converger) Lock(f *declare.File) (*flock.Lock, error) {
	path := filepath.Join(c.Provisioner.Toolboxes.Host.TbxRuntime(), "locks", ".apply-"+project.Hash([]byte(f.Path))[:16])
	lock, err := flock.Try(path)
	if errors.Is(err, flock.ErrBusy) {
		return nil, fail.New(nil, "%s is being applied by another tbx", escape.Text(f.Path)).
			Hint("wait until that has ended; then see what is left: tbx plan")
	}
	return lock, err
}

// Apply carries out a plan of f, with the lock held. What fails in one toolbox is in the
// error, and the others are done. What was done is recorded at once: the next call goes on.
func (c *Converger) Apply(ctx context.Context, f *declare.File, p *Plan, o Options) error {
	if err := p.Refusal(); err != nil {
		return err
	}
	var all []error
	for _, s := range p.Steps {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(all, err)...)
		}
		if err := c.step(ctx, f, p, s, o); err != nil {
			all = append(all, fail.Wrap(nil, err, "toolbox %s", s.Name))
		}
	}
	known := map[string]bool{}
	for _, b := range f.Boxes {
		known[string(b.Name)] = true
	}
	for name := range p.lock.Toolbox {
		if !known[name] {
			delete(p.lock.Toolbox, name)
		}
	}
	if err := p.lock.Write(f.Path); err != nil {
		c.warn("the lock file was not written: "+err.Error(), "others who apply the file may get other images")
	}
	if len(all) > 0 {
		return fail.Wrap(nil, errors.Join(all...), "").Hint("what was done is recorded; go on with: tbx apply")
	}
	return nil
}

func (c *Converger) warn(text, hint string) { c.Provisioner.Warn(text, hint) }

// step carries out one step.
func (c *Converger) step(ctx context.Context, f *declare.File, p *Plan, s *Step, o Options) error {
	m := c.Provisioner.Toolboxes
	var err error
	switch s.Action {
	case Nothing:
		return c.lockStep(ctx, p, s)
	case Remove:
		if err = m.Remove(ctx, s.Name, o.Force); err == nil {
			c.Done("Removed toolbox: " + string(s.Name))
		}
		return err
	case Release:
		c.Done("Toolbox " + string(s.Name) + " is your own again.")
		return c.release(ctx, s.Name, s.box)
	case Create:
		err = c.create(ctx, p, s, o)
	case Rebuild:
		var made bool
		if made, err = c.rebuild(ctx, f, p, s, o); !made {
			return err
		}
	case Change:
		err = c.change(ctx, s, o)
	default:
		return nil
	}
	if err == nil {
		err = c.fillIn(ctx, f, s)
	}
	if err != nil {
		return err
	}
	if s.Action == Change {
		c.Done("Changed toolbox: " + string(s.Name))
	}
	return c.lockStep(ctx, p, s)
}

// create makes a toolbox and its record.
func (c *Converger) create(ctx context.Context, p *Plan, s *Step, o Options) error {
	r, err := c.request(ctx, s.want, p.lock, o)
	if err != nil {
		return err
	}
	if _, err := c.Provisioner.Create(ctx, r); err != nil {
		return err
	}
	if s.box, err = c.Provisioner.Toolboxes.Find(ctx, s.Name); err != nil {
		return err
	}
	c.Done("Created toolbox: " + string(s.Name))
	return c.begin(s)
}

// begin writes the record of a toolbox into which nothing was brought yet.
func (c *Converger) begin(s *Step) error {
	key, err := sourceKey(s.want.Source)
	if err != nil {
		return err
	}
	s.record.Source = key
	return c.save(s)
}

func (c *Converger) save(s *Step) error {
	if s.box == nil || s.box.Spec == nil {
		return fail.New(nil, "toolbox %s has lost its specification meanwhile", s.Name).Hint("see what there is: tbx inspect %s", s.Name)
	}
	return s.record.save(c.Provisioner.Toolboxes, s.Name, s.box.Spec.ID)
}

// change gives a toolbox its settings, after a snapshot of what it holds.
func (c *Converger) change(ctx context.Context, s *Step, o Options) error {
	p := c.Provisioner
	if !o.NoSnapshot {
		if _, err := p.Snapshot(ctx, s.Name, "before tbx apply"); err != nil {
			return fail.Wrap(nil, err, "it was not changed, for want of a snapshot").Hint("change it without one: tbx apply --no-snapshot")
		}
	}
	if s.Adopt || s.Behind || len(s.Settings) > 0 {
		_, err := p.Edit(ctx, toolbox.EditRequest{
			Name: s.Name, Change: p.Toolboxes.Declared(s.want.Options), Force: o.Force, WhenIdle: o.WhenIdle,
		})
		if err != nil {
			return err
		}
	}
	s.record.Adopted = s.record.Adopted || s.Adopt
	return c.begin(s)
}

// rebuild makes a toolbox anew from another image. The old one stays, as the user's own
// under another name, with all that is in it.
func (c *Converger) rebuild(ctx context.Context, f *declare.File, p *Plan, s *Step, o Options) (made bool, err error) {
	m := c.Provisioner.Toolboxes
	kept, err := c.freeName(ctx, s.Name)
	if err != nil {
		return false, err
	}
	about := []string{"Toolbox " + string(s.Name) + " is made from " + s.Before + ", and shall be made from " + s.Image + ".",
		"It would be made anew. What is in it now would stay in toolbox " + string(kept) + "."}
	err = c.Ask("Make toolbox "+string(s.Name)+" anew?", about)
	if errors.Is(err, fail.Canceled) && ctx.Err() == nil {
		c.Done("Left toolbox " + string(s.Name) + " as it is.")
		return false, nil
	}
	if err != nil {
		return false, err
	}
	old := s.box
	if running := m.InUse(old); len(running) > 0 && !o.Force {
		return false, fail.New(nil, "it is in use by %s", escape.Text(running[0].Command)).
			Hint("end that, or have it kept running in %s: tbx apply --force", kept)
	}
	r, err := c.request(ctx, s.want, p.lock, o)
	if err == nil {
		err = c.Provisioner.Fetch(ctx, r)
	}
	if err != nil {
		return false, err
	}
	unmark, err := c.keepFromPruning(s.Name, old)
	if err == nil {
		err = m.Rename(ctx, s.Name, kept)
	}
	if err != nil {
		return false, errors.Join(err, unmark())
	}
	if err := c.create(ctx, p, s, o); err != nil {
		if s.box == old {
			err = errors.Join(err, m.Rename(context.WithoutCancel(ctx), kept, s.Name), unmark())
		}
		return false, err
	}
	c.Done("Kept what it was as toolbox: " + string(kept))
	return true, c.release(ctx, kept, old)
}

// keepFromPruning records that a toolbox is not to be removed with --prune: an apply that is
// killed once it has given it another name leaves it as one that was declared. unmark takes
// that back.
func (c *Converger) keepFromPruning(name toolbox.Name, b *toolbox.Box) (unmark func() error, err error) {
	m := c.Provisioner.Toolboxes
	r, known := recordOf(m, b.Spec.ID)
	if !known || r.Adopted {
		return func() error { return nil }, nil
	}
	r.Adopted = true
	return func() error {
		r.Adopted = false
		return r.save(m, name, b.Spec.ID)
	}, r.save(m, name, b.Spec.ID)
}

// release makes a toolbox the user's own again.
func (c *Converger) release(ctx context.Context, name toolbox.Name, b *toolbox.Box) error {
	_, err := c.Provisioner.Edit(ctx, toolbox.EditRequest{Name: name, Force: true, Change: func(now *toolbox.Spec) (*toolbox.Spec, error) {
		s := *now
		s.Declared = ""
		return &s, nil
	}})
	if err != nil { // without a record it is not removed by --prune either
		c.warn("toolbox "+string(name)+" still says that it is declared: "+err.Error(), "")
	}
	return forget(c.Provisioner.Toolboxes, b.Spec.ID)
}

// freeName is a name for what a toolbox was, which nothing has.
func (c *Converger) freeName(ctx context.Context, name toolbox.Name) (toolbox.Name, error) {
	base := strings.TrimSuffix(string(name), "-before")
	for kept := base + "-before"; ; kept += "-before" {
		n, err := toolbox.ParseName(kept)
		if err != nil {
			return "", err
		}
		if err := c.Provisioner.Toolboxes.CheckFree(ctx, n); !errors.Is(err, fail.Exists) {
			return n, err
		}
	}
}

// lockStep puts into the lock what a toolbox came to.
func (c *Converger) lockStep(ctx context.Context, p *Plan, s *Step) error {
	l := &declare.Locked{Image: s.box.Spec.Image, ImageID: s.box.Spec.ImageID, Files: map[string]string{}}
	had := p.lock.Of(s.want)
	switch {
	case had != nil && had.ImageID == l.ImageID, had != nil && s.Action != Create && s.Action != Rebuild:
		l.Image, l.Digest, l.ImageID = had.Image, had.Digest, had.ImageID
	default:
		if err := c.identify(ctx, s, l, had); err != nil {
			return err
		}
	}
	for i := range s.want.Files {
		l.Files[s.want.Files[i].Path] = s.want.Files[i].Hash()
	}
	for i := range s.want.Setup {
		l.Setup = append(l.Setup, s.want.Setup[i].Hash())
	}
	p.lock.Toolbox[string(s.Name)] = l
	return nil
}

// identify finds out what a registry calls the image of a toolbox. One that was got by the
// digest in the lock keeps the name that it has there.
func (c *Converger) identify(ctx context.Context, s *Step, l, had *declare.Locked) error {
	store, err := c.Provisioner.Store(ctx)
	if err != nil {
		return err
	}
	img, err := store.Inspect(ctx, l.ImageID)
	if errors.Is(err, fail.NotFound) {
		return nil // the toolbox is, and its image is not any more
	}
	if err != nil {
		return err
	}
	name, digest, pinned := strings.Cut(l.Image, "@")
	if pinned && had != nil && had.Digest == digest {
		l.Image, l.Digest = had.Image, digest
		return nil
	}
	repository := name
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		repository = name[:i]
	}
	for _, d := range img.Digests {
		of, is, ok := strings.Cut(d, "@")
		if ok && (of == repository || strings.HasSuffix(of, "/"+repository)) && !strings.HasPrefix(of, "localhost/") {
			l.Digest = is
		}
	}
	return nil
}
