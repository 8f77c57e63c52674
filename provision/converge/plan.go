package converge

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

// Converger holds what its methods need. All fields are required.
type Converger struct {
	Provisioner *provision.Provisioner
	// Inside runs commands in a toolbox, and starts it where it does not run.
	Inside func(name toolbox.Name, isolated bool) packages.Runner
	// Ask puts a question about lines that are shown first. An error of kind fail.Canceled
	// is a no.
	Ask func(question string, about []string) error
	// Done is told what was done, a sentence at a time.
	Done func(text string)
}

// Options are how a declaration is applied.
type Options struct {
	provision.Fetch
	Adopt      bool // take over toolboxes that were not made from the file
	Prune      bool // remove toolboxes that were made from it and are in it no more
	Update     bool // make new toolboxes from what registries have, not from what the lock says
	NoSnapshot bool
	Force      bool // end what runs in a toolbox that must be stopped
	WhenIdle   bool // or else change its settings when it stops or starts
}

// Action is what is to be done with one toolbox.
type Action string

// The actions.
const (
	Nothing Action = "nothing"
	Create  Action = "create"
	Change  Action = "change"
	Rebuild Action = "rebuild" // it is made anew from another image, and the old one is kept under another name
	Remove  Action = "remove"  // with Options.Prune
	Release Action = "release" // the same, of one that was taken over: it becomes the user's own again
	Leave   Action = "leave"   // it would be removed or released with Options.Prune
	Refuse  Action = "refuse"  // it is somebody else's, or cannot be read
)

// Plan is what is to be done.
type Plan struct {
	File  string   `json:"file"`
	Steps []*Step  `json:"toolboxes"` // by name; those to be removed last
	Notes []string `json:"notes"`

	lock *declare.Lock
}

// Step is what is to be done with one toolbox.
type Step struct {
	Name     toolbox.Name         `json:"name"`
	Action   Action               `json:"action"`
	Adopt    bool                 `json:"adopt,omitempty"`  // it was not made from the file
	Image    string               `json:"image,omitempty"`  // that it is made from, with Create and Rebuild
	Before   string               `json:"before,omitempty"` // with Rebuild: what it is made from now
	Settings []toolbox.Difference `json:"settings"`
	Behind   bool                 `json:"behind,omitempty"` // its settings were changed and are not in its container yet
	Install  []string             `json:"install"`          // packages
	Drop     []string             `json:"remove"`           // packages
	Files    []FileChange         `json:"files"`
	Setup    []SetupRun           `json:"setup"`
	Reason   string               `json:"reason,omitempty"` // with Refuse

	refusal error
	want    *declare.Box
	box     *toolbox.Box // nil with Create
	record  *record
}

// FileChange is a file that is to be written or removed.
type FileChange struct {
	Path   string `json:"path"`
	Remove bool   `json:"remove,omitempty"`
	Mode   string `json:"mode,omitempty"`
	Bytes  int    `json:"bytes"`
	From   string `json:"from,omitempty"` // path of the host
}

// SetupRun is a command that is to be run.
type SetupRun struct {
	Command string `json:"command"`
	AsUser  bool   `json:"as_user"`
}

// Changes says whether there is anything to do.
func (p *Plan) Changes() bool {
	return slices.ContainsFunc(p.Steps, func(s *Step) bool { return s.Action != Nothing && s.Action != Leave })
}

// Refusal is the error for what cannot be applied, or nil.
func (p *Plan) Refusal() error {
	var all []error
	for _, s := range p.Steps {
		if s.Action == Refuse {
			all = append(all, s.refusal)
		}
	}
	return errors.Join(all...)
}

// Plan says what Apply would do. It changes nothing and starts nothing: what is in a
// toolbox it takes from its record.
func (c *Converger) Plan(ctx context.Context, f *declare.File, o Options) (*Plan, error) {
	lock, err := declare.ReadLock(f.Path)
	if err != nil {
		return nil, err
	}
	all, err := c.Provisioner.Toolboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{File: f.Path, Notes: append([]string{}, f.Notes...), lock: lock}
	declared := map[toolbox.Name]bool{}
	for i := range f.Boxes {
		want := &f.Boxes[i]
		declared[want.Name] = true
		s := &Step{Name: want.Name, want: want, record: &record{}}
		if at := slices.IndexFunc(all, func(b *toolbox.Box) bool { return b.Name == want.Name }); at >= 0 {
			s.box = all[at]
		}
		if err := c.plan(ctx, s, f, lock, o); err != nil {
			return nil, placed(f, want, err)
		}
		p.Steps = append(p.Steps, s)
	}
	for _, b := range all {
		if s := c.leftover(b, f, o); s != nil && !declared[b.Name] {
			p.Steps = append(p.Steps, s)
		}
	}
	for _, s := range p.Steps {
		s.fill()
	}
	return p, nil
}

// placed puts the toolbox and where it is declared before an error, and keeps its hints.
func placed(f *declare.File, b *declare.Box, err error) error {
	return fail.Wrap(nil, err, "%s:%d: toolbox %s", escape.Text(f.Path), b.Line, b.Name)
}

// fill makes empty lists of those that are none, for JSON.
func (s *Step) fill() {
	s.Settings, s.Install, s.Drop = orEmpty(s.Settings), orEmpty(s.Install), orEmpty(s.Drop)
	s.Files, s.Setup = orEmpty(s.Files), orEmpty(s.Setup)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// leftover is the step for a toolbox that was made from the file and is in it no more, or
// nil. One without a record is the user's, whatever its specification says.
func (c *Converger) leftover(b *toolbox.Box, f *declare.File, o Options) *Step {
	if b.Spec == nil || b.Spec.Declared != f.Path {
		return nil
	}
	r, ok := recordOf(c.Provisioner.Toolboxes, b.Spec.ID)
	if !ok {
		return nil
	}
	s := &Step{Name: b.Name, Action: Leave, box: b}
	switch {
	case o.Prune && r.Adopted:
		s.Action = Release
	case o.Prune:
		s.Action = Remove
	}
	return s
}

// plan fills in the step of a declared toolbox.
func (c *Converger) plan(ctx context.Context, s *Step, f *declare.File, lock *declare.Lock, o Options) error {
	if s.box == nil {
		return c.planCreate(ctx, s, lock, o)
	}
	if s.refusal = refusal(s.box, f, o); s.refusal != nil {
		s.Action, s.Reason = Refuse, s.refusal.Error()
		return nil
	}
	m := c.Provisioner.Toolboxes
	var known bool
	s.record, known = recordOf(m, s.box.Spec.ID)
	s.Adopt = s.box.Spec.Declared != f.Path
	same, err := c.sameSource(ctx, s, known && !s.Adopt)
	if err != nil {
		return err
	}
	if !same || s.box.Spec.Isolated != s.want.Options.Isolated {
		s.Before = s.box.Spec.Image
		s.record = &record{}
		if err := c.planCreate(ctx, s, lock, o); err != nil {
			return err
		}
		s.Action = Rebuild
		return nil
	}
	if s.Settings, s.Behind, err = m.WouldDiffer(s.box, s.want.Options); err != nil {
		return err
	}
	s.Settings = slices.DeleteFunc(s.Settings, func(d toolbox.Difference) bool { return d.Key == "declared" })
	s.content()
	s.Action = Nothing
	if s.Adopt || s.Behind || !known || len(s.Settings)+len(s.Install)+len(s.Drop)+len(s.Files)+len(s.Setup) > 0 {
		s.Action = Change
	}
	return nil
}

// refusal is why a toolbox that is there must not be touched, or nil.
func refusal(b *toolbox.Box, f *declare.File, o Options) error {
	switch {
	case b.SpecErr != nil:
		return b.SpecErr
	case b.Spec == nil:
		return fail.New(fail.Exists, "toolbox %s was made by Toolbx, and tbx does not change those", b.Name).
			Hint("declare yours under another name")
	case b.Ephemeral():
		return fail.New(fail.Exists, "toolbox %s is there for one session, and gone after it", b.Name).Hint("wait for its end")
	case b.Spec.Declared == f.Path || o.Adopt:
		return nil
	case b.Spec.Declared == "":
		return fail.New(fail.Exists, "toolbox %s is there, and was not made from %s", b.Name, escape.Text(f.Path)).
			Hint("see what would be different: tbx plan --adopt").Hint("take it over: tbx apply --adopt").Hint("or declare yours under another name")
	}
	return fail.New(fail.Exists, "toolbox %s is declared by %s", b.Name, escape.Text(b.Spec.Declared)).
		Hint("if that file was moved here, or gives it up: tbx apply --adopt")
}

// planCreate fills in what a new toolbox is.
func (c *Converger) planCreate(ctx context.Context, s *Step, lock *declare.Lock, o Options) error {
	p := c.Provisioner
	d, err := p.Toolboxes.Draft(s.want.Options)
	if err != nil {
		return err
	}
	if s.box == nil {
		if err := p.Toolboxes.CheckFree(ctx, s.Name); errors.Is(err, fail.Exists) {
			s.Action, s.Reason, s.refusal = Refuse, err.Error(), err
			return nil
		} else if err != nil {
			return err
		}
	}
	r, err := c.request(ctx, s.want, lock, o)
	if err != nil {
		return err
	}
	if s.Image, err = imageName(ctx, p, r); err != nil {
		return err
	}
	s.Action, s.Settings = Create, d.Settings()
	s.content()
	return nil
}

// imageName is the image of a request, or its Containerfile.
func imageName(ctx context.Context, p *provision.Provisioner, r provision.Request) (string, error) {
	if r.Containerfile != "" {
		return r.Containerfile, nil
	}
	choice, err := p.Choose(ctx, r.Image)
	return choice.Reference, err
}

// content compares what shall be in the toolbox with its record.
func (s *Step) content() {
	want := packagesOf(s.want, s.record.Manager)
	for _, name := range want {
		if _, ok := s.record.Packages[name]; !ok {
			s.Install = append(s.Install, name)
		}
	}
	for _, name := range sortedKeys(s.record.Packages) {
		if s.record.Packages[name] && !slices.Contains(want, name) {
			s.Drop = append(s.Drop, name)
		}
	}
	declared := map[string]bool{}
	for _, f := range s.want.Files {
		declared[f.Path] = true
		if s.record.Files[f.Path].Hash != f.Hash() {
			s.Files = append(s.Files, FileChange{Path: f.Path, Mode: octal(f.Mode), Bytes: len(f.Content), From: f.From})
		}
	}
	for _, path := range sortedKeys(s.record.Files) {
		if !declared[path] {
			s.Files = append(s.Files, FileChange{Path: path, Remove: true})
		}
	}
	for _, cmd := range s.want.Setup {
		if !slices.Contains(s.record.Setup, cmd.Hash()) {
			s.Setup = append(s.Setup, SetupRun{cmd.Text, cmd.AsUser})
		}
	}
}

// packagesOf lists the packages that a toolbox with that package manager shall have. Where
// it is not known yet, those of one manager are named with it.
func packagesOf(b *declare.Box, manager string) []string {
	out := slices.Clone(b.Packages)
	for _, of := range sortedKeys(b.PackagesFor) {
		for _, name := range b.PackagesFor[of] {
			switch {
			case manager == "":
				out = append(out, name+" ("+of+")")
			case of == manager && !slices.Contains(out, name):
				out = append(out, name)
			}
		}
	}
	return out
}

// request is what a toolbox is made from: the image that the lock has, where that is
// another one than what has the name here.
func (c *Converger) request(ctx context.Context, b *declare.Box, lock *declare.Lock, o Options) (provision.Request, error) {
	r := provision.Request{
		Image:         images.Request{Image: b.Source.Image, Distro: b.Source.Distro, Release: b.Source.Release},
		Containerfile: b.Source.Containerfile, Fetch: o.Fetch, CreateOptions: b.Options,
	}
	r.Agreed = true // the plan was shown, and the question answered
	locked := lock.Of(b)
	if b.Source.Containerfile != "" || locked == nil || locked.Digest == "" || o.Update {
		return r, nil
	}
	choice, err := c.Provisioner.Choose(ctx, r.Image)
	if err != nil || choice.Reference != locked.Image {
		return r, err
	}
	ref, err := images.ParseRef(choice.Reference)
	if err != nil || ref.Local() || ref.Digest != "" {
		return r, err
	}
	store, err := c.Provisioner.Store(ctx)
	if err != nil {
		return r, err
	}
	img, err := store.Inspect(ctx, choice.Reference)
	if err != nil || !slices.ContainsFunc(img.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+locked.Digest) }) {
		r.Image = images.Request{Image: ref.Name() + "@" + locked.Digest}
	}
	return r, nil
}
