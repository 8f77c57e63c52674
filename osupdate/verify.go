package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// verify compares the state after a request with what was asked for. Exit codes
// are not evidence: updaters end with 0 when they did nothing.
func verify(r Request, before, after *State) error {
	wrong := func(format string, args ...any) error {
		return fail.New(ErrUnverified, "%s: "+format, append([]any{r.Verb}, args...)...).
			Hint("compare tbx host status with what you asked for, and see tbx host history")
	}
	if len(after.Deployments) == 0 && len(before.Deployments) > 0 {
		return wrong("the host has no bootable system any more")
	}
	follows := r.Verb == Switch || r.Verb == BuildVerb
	if !follows && before.Tracked != "" && after.Tracked != before.Tracked {
		return wrong("the host now follows %q instead of %q", after.Tracked, before.Tracked)
	}
	if next := after.Next(); next != nil && !follows && before.Tracked != "" && next.Tracks != before.Next().Tracks && next.Tracks != before.Tracked {
		if back, err := before.Back(r.Target); r.Verb != Rollback || err != nil || next.Tracks != back.Tracks {
			return wrong("the system that boots next follows %q instead of %q", next.Tracks, before.Tracked)
		}
	}
	next := after.Next()
	switch r.Verb {
	case Rollback:
		want, err := before.Back(r.Target)
		if err != nil {
			return err
		}
		if next == nil || !next.Same(want) {
			return wrong("%s does not boot next", want.Name())
		}
	case Pin, Unpin:
		d, err := before.Find(r.Target)
		if err != nil {
			return err
		}
		now := after.byID(d.ID)
		if now == nil || now.Pinned != (r.Verb == Pin) {
			return wrong("deployment %s is not as asked for", d.Name())
		}
	case Switch, BuildVerb:
		if next == nil || !strings.Contains(next.Tracks, r.Target) && (next.Image == nil || !strings.Contains(next.Image.Reference, r.Target)) {
			return wrong("the system that boots next does not follow %s", r.Target)
		}
	case Install, Uninstall:
		if next == nil || next.Changes == nil {
			break // the backend does not tell
		}
		for _, p := range r.Packages {
			has := slices.Contains(next.Changes.Layered, p) || slices.Contains(next.Changes.Inactive, p) || slices.Contains(next.Changes.Local, p)
			if has != (r.Verb == Install) {
				return wrong("package %s is not as asked for", p)
			}
		}
	case Kargs:
		if next == nil || next.Kargs == nil {
			break
		}
		for _, k := range r.Append {
			if !slices.Contains(next.Kargs, k) {
				return wrong("the next boot's kernel arguments lack %s", k)
			}
		}
		for _, k := range r.Delete {
			if slices.Contains(next.Kargs, k) {
				return wrong("the next boot's kernel arguments still have %s", k)
			}
		}
		if was := before.Next(); was != nil {
			for _, k := range was.Kargs {
				if !slices.Contains(next.Kargs, k) && !slices.Contains(r.Delete, k) {
					return wrong("the next boot's kernel arguments lost %s", k)
				}
			}
		}
	case Cancel, Cleanup:
		if b := before.Booted(); b != nil && after.byID(b.ID) == nil {
			return wrong("the running system %s is gone", b.Name())
		}
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
