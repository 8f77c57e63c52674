package osupdate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

func (h *Host) carryOut(ctx context.Context, p *Plan, before *State) (*Result, error) {
	scratch, err := h.scratch(p)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	res := &Result{Plan: p, Before: before.Next()}
	idle := len(p.Steps) > 0
	for i, step := range p.Steps {
		h.trace("step %d of %d: %s", i+1, len(p.Steps), strings.Join(step.Argv, " "))
		step.Argv = replaceAll(step.Argv, ScratchDir, scratch)
		if step.Skip != nil {
			skip, err := step.Skip(ctx)
			if err != nil {
				return nil, h.explain(err)
			}
			if skip {
				h.trace("step %d not needed", i+1)
				continue
			}
		}
		did, err := h.step(ctx, step)
		if err != nil {
			return nil, h.stopped(ctx, step, before, err)
		}
		idle = idle && did == didNothing
		h.trace("step %d done", i+1)
		if step.Enough == nil {
			continue
		}
		if res.Unchanged, err = step.Enough(ctx); err != nil {
			return nil, h.explain(err)
		}
		if res.Unchanged != "" {
			break
		}
	}
	switch p.Request.Verb {
	case Reboot:
		res.Warnings = p.Warnings
		return res, nil
	case Counting:
		return res, h.counted(context.WithoutCancel(ctx), p.Request)
	}
	return res, h.effect(context.WithoutCancel(ctx), p, before, res, idle)
}

// effect reads the host again and compares it with the request. The steps are done: even
// a caller who gave up meanwhile gets the result. idle: each step reported that it did
// nothing.
func (h *Host) effect(ctx context.Context, p *Plan, before *State, res *Result, idle bool) error {
	after, err := h.state(ctx)
	if err != nil {
		return err
	}
	if r, ok := h.be.(KargsReader); ok && p.Request.Verb == Kargs {
		if next := after.Next(); next != nil && next.Kargs == nil {
			if next.Kargs, err = r.NextKargs(ctx, after); err != nil {
				h.trace("the kernel arguments of the next boot: %v", err)
			}
		}
	}
	res.After, res.Reboot, res.Warnings = after.Next(), after.Reboot, append(slices.Clone(p.Warnings), after.Warnings...)
	if err := verify(p.Request, before, after); err != nil {
		return err
	}
	same := sameSystems(p.Request.Verb, before, after)
	switch {
	case res.Unchanged != "" || !same:
	case idle:
		res.Unchanged = "there was nothing to do"
	case p.NeedsBoot && p.Request.Verb == Kargs:
		return fail.New(ErrUnverified, "%s: %s reported success, but the next system is the same as before", p.Request.Verb, h.be.Kind()).
			Hint("see the arguments of the next boot: tbx host kargs")
	case p.NeedsBoot:
		res.Unchanged = "there was nothing to do"
	}
	h.trace("verified")
	if !moves(p.Request.Verb) {
		return nil
	}
	return h.mergeable(string(p.Request.Verb)+": ", after)
}

// mergeable returns ErrEtcMerge if the staged system cannot get this machine's /etc: the
// updater would notice that at shutdown, and the machine would boot the old system.
func (h *Host) mergeable(prefix string, s *State) error {
	m, ok := h.be.(Merger)
	next := s.Next()
	if !ok || next == nil || !next.Staged {
		return nil
	}
	names := m.MergeConflicts(s)
	if len(names) == 0 {
		return nil
	}
	return fail.New(ErrEtcMerge, "%s%s is staged, and would fail at the shutdown: in /etc, %s was changed here and is something else in it",
		prefix, s.Label(next), strings.Join(names, ", ")).
		Hint("move your copy of it away before the restart, and put your change back afterwards").
		Hint("or withdraw what is staged: tbx host cancel")
}

// stopped completes the error of a step that was ended early. It also stops a daemon's
// work, and reads the host when that is idle.
func (h *Host) stopped(ctx context.Context, step Step, before *State, err error) error {
	if step.Stop == nil || !errors.Is(err, fail.Canceled) && !errors.Is(err, ErrTimeout) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceToStop)
	defer cancel()
	told := false
	for {
		s, stateErr := h.state(ctx)
		switch {
		case stateErr == nil && s.Busy != nil && !told:
			told = true
			if _, _, stopErr := h.cfg.Tools.Run(ctx, Call{Argv: step.Stop}); stopErr != nil {
				h.trace("stop: %v", stopErr)
			}
		case stateErr != nil:
			return errors.Join(err, fail.Wrap(ErrBusy, stateErr, "it is not known whether %s still works", h.be.Kind()).Hint("see: tbx host status"))
		case s.Busy != nil && ctx.Err() == nil:
			select {
			case <-time.After(pollBusy):
			case <-ctx.Done():
			}
		case s.Busy != nil:
			return fail.Wrap(ErrBusy, err, "%s still works: %s", h.be.Kind(), s.Busy.What).Hint("see when it is done: tbx host status")
		case !sameSystems("", before, s):
			next := s.Next()
			if next == nil {
				return err
			}
			return fail.Wrap(kindOf(err), err, "%s had done it already: %s boots next", h.be.Kind(), s.Label(next)).
				Hint("to undo it: tbx host cancel")
		default:
			return err
		}
	}
}

// kindOf returns the kind of err, to keep it under another message.
func kindOf(err error) error {
	if errors.Is(err, fail.Canceled) {
		return fail.Canceled
	}
	if p := ProblemOf(err); p != nil {
		return p
	}
	return ErrBackend
}

// scratch makes the directory of p's steps, on the disk of the history, where there is
// room for a file system; empty if no step needs one. It first removes a killed tbx's
// directory: the caller holds the lock.
func (h *Host) scratch(p *Plan) (string, error) {
	wants := func(a string) bool { return strings.Contains(a, ScratchDir) }
	if !slices.ContainsFunc(p.Steps, func(s Step) bool { return slices.ContainsFunc(s.Argv, wants) }) {
		return "", nil
	}
	dir := filepath.Join(h.cfg.StateDir, "scratch")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, errors.Join(os.MkdirAll(filepath.Join(dir, "frame/usr"), 0o755), os.Mkdir(filepath.Join(dir, "policy"), 0o755))
}

// sameSystems reports whether a user would see no difference. An upgrade may stage the
// same content again under another number; any other verb that made another number
// changed something.
func sameSystems(verb Verb, a, b *State) bool {
	return a.Backend == b.Backend && a.Tracked == b.Tracked && a.Boot.State == b.Boot.State &&
		slices.EqualFunc(a.Deployments, b.Deployments, func(x, y Deployment) bool {
			return (x.ID == y.ID || verb == Upgrade && x.Same(&y)) && x.Booted == y.Booted && x.Next == y.Next && x.Staged == y.Staged &&
				x.Locked == y.Locked && x.Pinned == y.Pinned && x.Incomplete == y.Incomplete && x.Unlocked == y.Unlocked &&
				(x.Kargs == nil || y.Kargs == nil || slices.Equal(x.Kargs, y.Kargs))
		})
}

const (
	graceToStop = time.Minute // for a daemon to give up its work
	pollBusy    = 200 * time.Millisecond
)

var waitsForLock = pattern.Lazy(`Waiting for sysroot lock`)

// did is a step's own report.
type did int

const (
	didSomething did = iota
	didNothing
)

func (h *Host) step(ctx context.Context, s Step) (did, error) {
	argv := s.Argv
	if s.Origin != nil {
		dir, err := os.MkdirTemp(h.cfg.StateDir, ".origin")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "origin")
		if err := atomicfile.WriteVolatile(path, s.Origin.Bytes("libostree-transient"), 0o644); err != nil {
			return 0, err
		}
		argv = replaceAll(argv, OriginFile, path)
	}
	call := Call{Argv: argv, Waiting: waitsForLock(), ProgressFD: s.ProgressFD, Interrupt: s.Stop != nil}
	var showing sync.Mutex // both outputs of the updater are read at the same time
	show := func(line string) {
		showing.Lock()
		defer showing.Unlock()
		h.cfg.Output(line)
	}
	call.Lines = func(line string) {
		if s.Read != nil && h.cfg.Progress != nil {
			if p, ok := s.Read(line); ok {
				h.cfg.Progress(p)
			}
		}
		if s.Show && h.cfg.Output != nil {
			show(line)
		}
	}
	if s.Show && h.cfg.Output != nil {
		call.ErrLines = show
	}
	stdout, stderr, err := h.cfg.Tools.Run(ctx, call)
	var te *ToolError
	code := 0
	switch {
	case err == nil:
		te = &ToolError{Argv: argv, Stdout: lastBytes(stdout), Stderr: string(stderr)}
	case ProblemOf(err) != nil || !errors.As(err, &te):
		return 0, err
	default:
		code = te.Code
	}
	if s.Again != nil && !slices.Contains(s.OK, code) {
		if s.Argv, s.Again = s.Again(te), nil; s.Argv != nil {
			return h.step(ctx, s)
		}
	}
	explain := h.be.Explain
	if s.Explain != nil {
		explain = s.Explain
	}
	if !slices.Contains(s.OK, code) {
		if err := explain(te); err != nil {
			return 0, err
		}
	}
	if s.Idle != nil && s.Idle(te.Stdout, te.Stderr, code) {
		return didNothing, nil
	}
	return didSomething, nil
}
