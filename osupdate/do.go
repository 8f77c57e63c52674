package osupdate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// plan returns what r would do, and the state that it starts from. It changes nothing.
func (h *Host) plan(ctx context.Context, r Request) (*Plan, *State, error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	s, err := h.state(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := h.planOn(ctx, s, r)
	return p, s, err
}

// planOn is plan for a state that was read.
func (h *Host) planOn(ctx context.Context, s *State, r Request) (*Plan, error) {
	if h.det.Live {
		return nil, fail.New(ErrUnsupported, "this is a live medium: a change would be lost").Hint("install the system first")
	}
	if err := keepsWayBack(r, s); err != nil {
		return nil, err
	}
	ends := r.Successor
	r, err := successor(r, s)
	if err != nil {
		return nil, err
	}
	if err := h.takesFile(r); err != nil {
		return nil, err
	}
	var p *Plan
	switch r.Verb {
	case Reboot:
		p, err = h.rebootPlan(ctx, s, r)
	case Counting:
		p, err = h.countingPlan(ctx, r)
	default:
		p, err = h.be.Plan(ctx, s, r)
	}
	if err == nil && ends {
		err = h.keepFirst(ctx, p, s)
	}
	if err != nil {
		return nil, h.possible(h.wayToOld(s, h.explain(err)))
	}
	if r.Verb == Rollback || r.Verb == Cancel {
		for _, m := range h.det.Managers {
			if p.Unchanged == "" {
				p.Warnings = append(p.Warnings, m+" is enabled, and may bring back what you leave; stop it first: systemctl disable --now "+m)
			}
		}
	}
	if lost := rootLost(r); lost != "" && p.Unchanged == "" {
		p.Warnings = append(p.Warnings, lost)
	}
	if p.NeedsBoot && p.Network && p.Unchanged == "" {
		p.Warnings = append(p.Warnings, h.tightBoot()...)
	}
	p.Backend, p.Request, p.StateHash = h.be.Kind(), r, s.Hash()
	return p, nil
}

// rootLost warns of a change after which the next system may not find its root file
// system; empty where r is none.
func rootLost(r Request) string {
	named := func(list []string) (out []string) {
		for _, k := range list {
			if name, _, _ := strings.Cut(k, "="); r.Verb == Kargs && slices.Contains(findsRoot, name) {
				out = append(out, k)
			}
		}
		return out
	}
	changed := append(named(r.Delete), named(r.Append)...)
	if len(changed) == 0 {
		return ""
	}
	return "by " + strings.Join(changed, ", ") +
		" the root file system is found: if the next system does not start, choose the running one in " +
		"the boot menu"
}

// takesFile returns ErrUnsupported if the updater cannot take a package or an update from
// a file of this machine.
func (h *Host) takesFile(r Request) error {
	want := map[Verb]Capability{Install: CanLocalPackage, Upgrade: CanOneTime}[r.Verb]
	caps := h.be.Capabilities()
	if want == "" || r.File() == "" || caps.Can(want) {
		return nil
	}
	why := caps.Lacks[want]
	if why == "" && want == CanLocalPackage {
		why = "install it in a toolbox, or put it into a repository"
	}
	return Unsupported(h.be.Kind(), Verb(want), why)
}

// Do carries out r: plan, lock, compare, run, read again, verify, record. With dryRun it
// only plans.
func (h *Host) Do(ctx context.Context, r Request, dryRun bool) (*Result, error) {
	p, before, err := h.plan(ctx, r)
	if err == nil && (dryRun || p.Unchanged != "") {
		return &Result{Plan: p, DryRun: dryRun, Unchanged: p.Unchanged, Before: before.Next(), After: before.Next(), Reboot: before.Reboot}, nil
	}
	if h.mayElevate(err) || err == nil && p.NeedsRoot && !h.cfg.Superuser {
		return h.elevate(ctx, r, dryRun)
	}
	if err != nil {
		return nil, err
	}
	res, err := h.apply(ctx, p, before)
	if r.Verb == Reboot && h.mayElevate(err) { // logind lets some users restart the machine
		return h.elevate(ctx, r, dryRun)
	}
	return res, err
}

// elevate makes root's tbx carry out r.
func (h *Host) elevate(ctx context.Context, r Request, dryRun bool) (*Result, error) {
	if h.cfg.Elevate == nil {
		return nil, fail.New(ErrPermission, "%s %s needs root", h.be.Kind(), r.Verb).Hint("run it with sudo")
	}
	h.trace("elevate %s", r.Verb)
	a, err := h.cfg.Elevate.Run(ctx, Order{Request: r, DryRun: dryRun}, h.cfg.Progress)
	if err != nil {
		return nil, err
	}
	return a.Result, nil
}

func (h *Host) apply(ctx context.Context, p *Plan, before *State) (*Result, error) {
	unlock, err := lock(ctx, h.cfg.LockPath, h.cfg.LockWait, p.Request.Verb)
	if err != nil {
		return nil, err
	}
	defer unlock()
	h.trace("locked")
	now, err := h.idle(ctx, p.Request.Verb)
	if err != nil {
		return nil, err
	}
	if now.Hash() != p.StateHash {
		return nil, fail.New(ErrBusy, "the host changed since the plan for %s was made", p.Request.Verb).
			Hint("look at tbx host status and try again")
	}
	e := Entry{
		Op: fmt.Sprintf("%d-%d", time.Now().UnixNano(), os.Getpid()), Phase: "begin", Time: time.Now().UTC(),
		Boot: BootID(h.cfg.Root), User: h.cfg.User, Backend: p.Backend, Request: p.Request, Sysroot: h.cfg.Sysroot, Follows: before.Tracked,
	}
	if b := before.Booted(); b != nil {
		e.Running = b.Content()
	}
	if cur := before.Current(); cur != nil {
		e.From = cur.Name()
	}
	if err := record(h.cfg.StateDir, e); err != nil {
		return nil, fail.Wrap(ErrPermission, err, "%s was not begun", p.Request.Verb)
	}
	h.trace("begun")
	res, err := h.carryOut(ctx, p, before)
	e.Phase, e.Time, e.Outcome = "end", time.Now().UTC(), "done"
	switch {
	case err != nil:
		e.Outcome, e.Message = "failed", err.Error()
		if k := ProblemOf(err); k != nil {
			e.Problem = k.Name
		}
	case res.Unchanged != "":
		e.Outcome, e.Message = "unchanged", res.Unchanged
	case res.After != nil:
		e.Intended, e.Content, e.Staged = res.After.Name(), res.After.Content(), res.After.Staged
	}
	if recErr := record(h.cfg.StateDir, e); recErr != nil && err == nil {
		res.Warnings = append(res.Warnings, recErr.Error())
	}
	h.trace("recorded")
	return res, err
}

// idle waits until no other program works on the host, for at most LockWait. A cancel is
// meant for a busy host, and does not wait.
func (h *Host) idle(ctx context.Context, verb Verb) (*State, error) {
	const poll = 500 * time.Millisecond
	for deadline := time.Now().Add(h.cfg.LockWait); ; {
		s, err := h.state(ctx)
		if err != nil || s.Busy == nil || verb == Cancel {
			return s, err
		}
		if !time.Now().Before(deadline) {
			return nil, Busy(*s.Busy)
		}
		select {
		case <-ctx.Done():
			return nil, fail.Wrap(fail.Canceled, context.Cause(ctx), "waiting for %s", s.Busy.What)
		case <-time.After(poll):
		}
	}
}
