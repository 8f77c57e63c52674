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

func verifyUpgrade(c *comparison) error { return nil }

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
	next := c.after.Next()
	if next == nil || !strings.Contains(next.Tracks, c.r.Target) && (next.Image == nil || !strings.Contains(next.Image.Reference, c.r.Target)) {
		return c.wrong("the system that boots next does not follow %s", c.r.Target)
	}
	return nil
}

func verifyPackages(c *comparison) error {
	next := c.after.Next()
	if next == nil || next.Changes == nil {
		return nil // the backend does not tell
	}
	for _, p := range c.r.Packages {
		has := slices.Contains(next.Changes.Layered, p) || slices.Contains(next.Changes.Inactive, p) || slices.Contains(next.Changes.Local, p)
		if has != (c.r.Verb == Install) {
			return c.wrong("package %s is not as asked for", p)
		}
	}
	return nil
}

func verifyOverrides(c *comparison) error { return nil }

func verifyKargs(c *comparison) error {
	next, was := c.after.Next(), c.before.Next()
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
// the disk.
func keepsWayBack(r Request, s *State) error {
	if r.Verb != Cleanup || !slices.Contains(r.Parts, "rollback") {
		return nil
	}
	if b := s.Booted(); b != nil && (b.Next || slices.Contains(r.Parts, "pending")) {
		return nil // what remains is the system that runs
	}
	return fail.New(ErrUnsafe, "cleanup: the system that boots next has not run yet, and the other one is the way back").
		Hint("reboot into it first, or drop what waits for the next boot as well: tbx host cleanup --pending --rollback")
}
