package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// comparison is a request with the states before and after it.
type comparison struct {
	r             Request
	before, after *State
}

func (c *comparison) wrong(format string, args ...any) error {
	return fail.New(ErrUnverified, "%s: "+format, append([]any{c.r.Verb}, args...)...).
		Hint("compare tbx host status with what you asked for, and see tbx host history")
}

// verify compares the state after a request with what was asked for. Exit codes
// are not evidence: updaters end with 0 when they did nothing.
func verify(r Request, before, after *State) error {
	c := &comparison{r, before, after}
	if len(after.Deployments) == 0 && len(before.Deployments) > 0 {
		return c.wrong("the host has no bootable system any more")
	}
	if err := c.sameSource(); err != nil {
		return err
	}
	if row := r.Verb.info(); row != nil && row.verify != nil {
		return row.verify(c)
	}
	return nil
}

// subject is the system that a change is on: the staged one where it is locked, else
// what boots next.
func (c *comparison) subject() *Deployment {
	if d := c.after.Downloaded(); d != nil {
		return d
	}
	return c.after.Next()
}

// sameSource: only switch and build change what the host follows; a rollback may
// go to a system that followed something else.
func (c *comparison) sameSource() error {
	if c.r.Verb == Switch || c.r.Verb == BuildVerb || c.before.Tracked == "" {
		return nil
	}
	was, next := c.before.Next(), c.after.Next()
	moves := c.r.Verb == Rollback || c.r.Verb == Cancel || c.r.Verb == Cleanup
	if moves { // what waited may have followed something else
		if next == nil || slices.ContainsFunc(c.before.Deployments, func(d Deployment) bool { return d.Tracks == next.Tracks }) {
			return nil
		}
		return c.wrong("the system that boots next follows %q, which no system did", next.Tracks)
	}
	if c.after.Tracked != c.before.Tracked {
		return c.wrong("the host now follows %q instead of %q", c.after.Tracked, c.before.Tracked)
	}
	if next != nil && was != nil && next.Tracks != was.Tracks && next.Tracks != c.before.Tracked {
		return c.wrong("the system that boots next follows %q instead of %q", next.Tracks, c.before.Tracked)
	}
	return nil
}

// verifyUpgrade: what was only to be downloaded does not boot, and nothing that was
// to boot is lost; what was to boot is not locked.
func verifyUpgrade(c *comparison) error {
	was, next := c.before.Next(), c.after.Next()
	if c.r.DownloadOnly {
		if was != nil && (next == nil || !next.Same(was)) {
			return c.wrong("%s was to boot next, and does so no more", was.Name())
		}
		return nil
	}
	if d := c.after.Downloaded(); d != nil && (c.before.Downloaded() == nil || !d.Same(c.before.Downloaded())) {
		return c.wrong("%s is downloaded, and locked: it does not boot next", d.Name())
	}
	return nil
}

func verifyRollback(c *comparison) error {
	want, err := c.before.Back(c.r.Target)
	if err != nil {
		return err
	}
	if next := c.after.Next(); next == nil || !next.Same(want) {
		return c.wrong("%s does not boot next", want.Name())
	}
	return nil
}

func verifyPin(c *comparison) error {
	d, err := c.before.Find(c.r.Target)
	if err != nil {
		return err
	}
	if now := c.after.byID(d.ID); now == nil || now.Pinned != (c.r.Verb == Pin) {
		return c.wrong("deployment %s is not as asked for", d.Name())
	}
	return nil
}

func verifyFollows(c *comparison) error {
	next := c.subject()
	if next == nil || !strings.Contains(next.Tracks, c.r.Target) &&
		(next.Image == nil || !strings.Contains(next.Image.Reference, c.r.Target)) {
		return c.wrong("the system that boots next does not follow %s", c.r.Target)
	}
	return nil
}

func verifyPackages(c *comparison) error {
	next := c.subject()
	if next == nil || next.Changes == nil {
		return nil // the backend does not tell
	}
	for _, p := range c.r.Packages {
		if strings.HasPrefix(p, "/") { // a file may be called otherwise than the package in it
			if next.Changes.LocalName(FileOf(p)) == "" && !c.anotherLocal(next) {
				return c.wrong("no package of the file %s is on the host", p)
			}
			continue
		}
		switch has := next.Changes.Requested(p); {
		case has != (c.r.Verb == Install):
			return c.wrong("package %s is not as asked for", p)
		case slices.Contains(next.Changes.NotInUse, p):
			err := fail.New(ErrUnverified, "%s: package %s is asked for, and is in no system", c.r.Verb, p).
				Hint("see why with --verbose, and what waits in: tbx host status")
			if c.after.Backend == ABRoot {
				err.Hint("build the system again with every package: sudo abroot upgrade --force")
			}
			return err
		}
	}
	return nil
}

// anotherLocal says whether d has a package from a file that what booted next had not.
func (c *comparison) anotherLocal(d *Deployment) bool {
	was := c.before.Head()
	return was == nil || was.Changes == nil || slices.ContainsFunc(d.Changes.Local,
		func(n string) bool { return !slices.Contains(was.Changes.Local, n) })
}

// verifyOverrides: an override that is asked for must have an effect: updaters take
// the name of a package that the base does not have.
func verifyOverrides(c *comparison) error {
	next := c.subject()
	if next == nil || next.Changes == nil {
		return nil
	}
	has := func(name string) bool {
		return slices.ContainsFunc(slices.Concat(next.Changes.Replaced, next.Changes.Removed),
			func(o string) bool { return o == name || PackageName(o) == name })
	}
	for _, p := range c.r.Packages {
		switch {
		case c.r.Verb == OverrideReset && has(p):
			return c.wrong("package %s is still overridden", p)
		case c.r.Verb != OverrideReset && !has(p):
			return c.wrong("package %s is not overridden", p)
		case c.r.Verb != OverrideReset && slices.Contains(next.Changes.NotInUse, p):
			return c.wrong("the override of %s is without effect: the base has no such package; undo it with: tbx host cancel", p)
		}
	}
	if c.r.Verb == OverrideReset && len(c.r.Packages) == 0 && len(next.Changes.Replaced)+len(next.Changes.Removed) > 0 {
		return c.wrong("packages are still overridden")
	}
	return nil
}

func verifyKargs(c *comparison) error {
	next, was := c.after.Next(), c.before.Next()
	if d := c.after.Downloaded(); d != nil { // they land on the system that is staged
		next, was = d, c.before.Downloaded()
	}
	if next == nil || next.Kargs == nil {
		return nil
	}
	for _, k := range c.r.Append {
		if !slices.Contains(next.Kargs, k) {
			return c.wrong("the next boot's kernel arguments lack %s", k)
		}
	}
	for _, k := range c.r.Delete {
		if slices.Contains(next.Kargs, k) {
			return c.wrong("the next boot's kernel arguments still have %s", k)
		}
	}
	if was == nil {
		return nil
	}
	for _, k := range was.Kargs {
		if !slices.Contains(next.Kargs, k) && !slices.Contains(c.r.Delete, k) {
			return c.wrong("the next boot's kernel arguments lost %s", k)
		}
	}
	return nil
}

// verifyKeepsRunning: what is cleaned up is never the running system.
func verifyKeepsRunning(c *comparison) error {
	if b := c.before.Booted(); b != nil && c.after.byID(b.ID) == nil {
		return c.wrong("the running system %s is gone", b.Name())
	}
	return nil
}

func (s *State) byID(id string) *Deployment {
	for i := range s.Deployments {
		if s.Deployments[i].ID == id {
			return &s.Deployments[i]
		}
	}
	return nil
}

// keepsWayBack refuses a clean-up that would leave an untried system alone on
// the disk, or that would delete a system which was booted before and is the way
// back.
func keepsWayBack(r Request, s *State) error {
	if r.Verb != Cleanup {
		return nil
	}
	b, next := s.Booted(), s.Next()
	if slices.Contains(r.Parts, "pending") && b != nil && next != nil && next != b && !next.Staged &&
		(s.Boot.State == BootRollback || s.Boot.State == BootOther) {
		return fail.New(ErrUnsafe, "cleanup: %s boots next and is no update that waits: it would be deleted for good", s.Label(next)).
			Hint("to stay with the running system and keep that one: tbx host rollback booted").
			Hint("to boot it and delete the other one afterwards: tbx host reboot, then tbx host cleanup --rollback")
	}
	if !slices.Contains(r.Parts, "rollback") || b != nil && (b.Next || slices.Contains(r.Parts, "pending")) {
		return nil // what remains is the system that runs
	}
	return fail.New(ErrUnsafe, "cleanup: the system that boots next has not run yet, and the other one is the way back").
		Hint("reboot into it first, or drop what waits for the next boot as well: tbx host cleanup --pending --rollback")
}
