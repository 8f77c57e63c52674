package osupdate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/pattern"
)

func (h *Host) carryOut(ctx context.Context, p *Plan, before *State) (*Result, error) {
	scratch, err := h.scratch(p)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	res := &Result{Plan: p, Before: before.Next()}
	for i, step := range p.Steps {
		h.trace("step %d of %d: %s", i+1, len(p.Steps), strings.Join(step.Argv, " "))
		step.Argv = replaceAll(step.Argv, ScratchDir, scratch)
		if err := h.step(ctx, step); err != nil {
			return nil, err
		}
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
	if p.Request.Verb == Reboot {
		return res, nil
	}
	// The steps are done: even a caller who gave up meanwhile gets the truth.
	after, err := h.state(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	res.After, res.Reboot, res.Warnings = after.Next(), after.Reboot, after.Warnings
	if err := verify(p.Request, before, after); err != nil {
		return nil, err
	}
	if res.Unchanged == "" && sameSystems(before, after) && (p.NeedsBoot || p.Request.Verb == Cleanup) {
		res.Unchanged = "there was nothing to do"
	}
	h.trace("verified")
	return res, nil
}

// scratch makes the directory of p's steps, on the disk of the history, where
// there is room for a file system; empty when no step wants one. What a killed
// tbx left there is removed first: whoever calls holds the lock.
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

// sameSystems says whether a user would see no difference: ostree stages a system
// anew, with another number, that is staged already.
func sameSystems(a, b *State) bool {
	return a.Backend == b.Backend && a.Tracked == b.Tracked && slices.EqualFunc(a.Deployments, b.Deployments, func(x, y Deployment) bool {
		return x.Same(&y) && x.Booted == y.Booted && x.Staged == y.Staged && x.Pinned == y.Pinned && (x.Index > 0 || slices.Equal(x.Kargs, y.Kargs))
	})
}

var waitsForLock = pattern.Lazy(`Waiting for sysroot lock`)

func (h *Host) step(ctx context.Context, s Step) error {
	argv := s.Argv
	if s.Origin != nil {
		dir, err := os.MkdirTemp(h.cfg.StateDir, ".origin")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "origin")
		if err := atomicfile.WriteVolatile(path, s.Origin.Bytes("libostree-transient"), 0o644); err != nil {
			return err
		}
		argv = replaceAll(argv, OriginFile, path)
	}
	call := Call{Argv: argv, Waiting: waitsForLock(), ProgressFD: s.ProgressFD}
	var showing sync.Mutex // the updater's two outputs are read side by side
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
	switch {
	case err == nil:
		te = &ToolError{Argv: argv, Stdout: lastBytes(stdout), Stderr: string(stderr)}
	case ProblemOf(err) == nil && errors.As(err, &te) && slices.Contains(s.OK, te.Code):
		return nil
	case ProblemOf(err) != nil || te == nil:
		return err
	}
	if s.Explain != nil {
		return s.Explain(te)
	}
	return h.be.Explain(te)
}
