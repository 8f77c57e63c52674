package toolbox

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/layers"
	"github.com/tbx-project/tbx/toolbox/savefile"
)

// LoadOptions is a user's request to make a toolbox from a file.
type LoadOptions struct {
	Name     Name   // empty: the one in the file
	Home     string // a directory of the host; empty: as the file says
	NoShares bool   // leave out the volumes, directories and home of the host that the file names
}

// Saved is a file with a toolbox, after its beginning was read. Everything in it comes
// from outside.
type Saved struct {
	*savefile.Manifest
	Draft *Draft // the toolbox to make

	file savefile.Reader
	host *Host
}

// Saved checks the settings in a file of Save, as Draft checks those of a new toolbox.
func (m *Manager) Saved(file savefile.Reader, made *savefile.Manifest, o LoadOptions) (*Saved, error) {
	s := &Saved{Manifest: made, file: file, host: m.Host}
	return s, s.draft(m, o)
}

func (s *Saved) draft(m *Manager, o LoadOptions) error {
	if (s.UID == 0) != (m.Host.UID == 0) {
		return fail.New(fail.Unable, "only root can load a toolbox of root, and root can load no other")
	}
	name := o.Name
	if name == "" {
		var err error
		if name, err = ParseName(s.Toolbox); err != nil {
			return err
		}
	}
	spec, err := parseSpec("the settings in the file", s.Spec)
	if err != nil {
		return err
	}
	if spec.Version > SpecVersion {
		return fail.New(fail.Unable, "its settings were written by a newer tbx (version %d, this one knows %d)", spec.Version, SpecVersion).
			Hint("update tbx")
	}
	if spec.ImageID != s.Image.ID {
		return fail.New(fail.Usage, "its settings and its contents belong to different images")
	}
	options := optionsOf(name, spec)
	if o.NoShares {
		options.Volumes, options.Share, options.Home = nil, nil, ""
	}
	if o.Home != "" {
		if spec.Isolated {
			return fail.New(fail.Usage, "toolbox %s is isolated: podman keeps its home", name).Hint("leave out --home")
		}
		options.Home = o.Home
	}
	if s.Has(savefile.PartHome) && !spec.Isolated {
		if options.Home == "" {
			return fail.New(fail.Usage, "the file contains a home, which needs a place").Hint("name a place with: --home DIRECTORY")
		}
		if home, err := filepath.Abs(options.Home); err != nil || !emptyDir(home) {
			return fail.New(fail.Exists, "%s exists already, and is not an empty directory", options.Home).
				Hint("choose another one with: --home DIRECTORY")
		}
	}
	s.Draft, err = m.Draft(options)
	return err
}

// Wants describes everything that the toolbox will have of the host.
func (s *Saved) Wants() []string {
	spec := s.Draft.spec
	var out []string
	add := func(format string, args ...any) { out = append(out, escape.Text(fmt.Sprintf(format, args...))) }
	if !spec.Isolated {
		add("it is not isolated: what runs in it can do all that you can")
	}
	if spec.Home != "" {
		add("the directory %s as its home", spec.Home)
	} else if !spec.Isolated && spec.Has("home") {
		add("your home, %s", s.host.RealHome)
	}
	for _, v := range spec.Volumes {
		add("the volume %s", v)
	}
	for _, d := range spec.Share {
		add("the directory %s", d)
	}
	if spec.GPU {
		add("the GPUs")
	}
	if spec.Isolated && !spec.NoNetwork {
		add("the network")
	}
	for _, kv := range spec.Env {
		add("the variable %s", kv)
	}
	return out
}

// Harmless reports whether a toolbox has no more of the host than every isolated one.
func (s *Saved) Harmless() bool {
	spec := s.Draft.spec
	return spec.Isolated && len(spec.Volumes) == 0 && len(spec.Share) == 0 && len(spec.Env) == 0 && !spec.GPU
}

// Load makes a toolbox from a file, whose image, if it has one, was already read; from is
// that image. There is no toolbox until the file was read and checked to its end. The
// toolbox gets new ids, so policy rules for the old ones do not apply.
func (m *Manager) Load(ctx context.Context, s *Saved, from Image) error {
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	name := s.Draft.Name
	busy, err := m.alone(ctx, e, name)
	if err != nil {
		return err
	}
	defer busy.Close()
	l := &loading{filled: &filled{Manager: m, engine: e, from: "the file", draft: s.Draft}, saved: s}
	l.fill = l.unpack
	if err := l.make(ctx, from); err != nil {
		return fail.Wrap(nil, err, "toolbox %s was not made", name)
	}
	return nil
}

// loading is a toolbox in the making, from a file.
type loading struct {
	*filled
	saved *Saved
}

// unpack fills the container of the toolbox.
func (l *loading) unpack(ctx context.Context, id string) error {
	to, err := l.engine.Layer(ctx, id)
	if err != nil {
		return err
	}
	if to.Driver != l.saved.Driver {
		return fail.New(fail.Unable, "it was saved from podman's storage driver %s, and podman has %s here", escape.Text(l.saved.Driver),
			to.Driver).
			Hint("see containers-storage.conf(5)")
	}
	shown := &counted{progress: l.Progress, what: "unpacking toolbox " + string(l.draft.Name), of: l.saved.Bytes}
	shown.begin()
	trees := []struct{ part, what, dir string }{{savefile.PartLayer, "the toolbox in the file", to.Upper}}
	if l.saved.Has(savefile.PartHome) {
		home := l.draft.spec.Home
		if l.draft.spec.Isolated {
			if home, err = l.homeDir(ctx, l.engine, id); err != nil {
				return err
			}
		}
		trees = append(trees, struct{ part, what, dir string }{savefile.PartHome, "the home in the file", home})
	}
	var done []*layers.Copy
	defer func() {
		for _, c := range done {
			c.Close()
		}
	}()
	for _, t := range trees {
		o := to.PackOrder(filepath.Dir(t.dir), filepath.Base(t.dir))
		o.User, o.Group = [2]uint32{l.saved.UID, uint32(l.Host.UID)}, [2]uint32{l.saved.GID, uint32(l.Host.GID)}
		c, err := l.space().Unpack(ctx, t.what, o, shown.reader(l.saved.file.Part(t.part)))
		if err != nil {
			return err
		}
		done = append(done, c)
	}
	if err := l.saved.file.End(); err != nil {
		return err
	}
	for _, c := range slices.Backward(done) { // the home first: without the layer, there is no toolbox
		if err := c.Commit(); err != nil {
			return err
		}
	}
	return nil
}
