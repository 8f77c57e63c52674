package osupdate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Config is what a Host needs from its caller.
type Config struct {
	Root       string        // of the running system; "/" but for tests
	Sysroot    string        // an OSTree sysroot directory to manage instead of the running host
	OS         string        // its stateroot, where it has several
	Tools      *Tools        //
	StateDir   string        // history; /var/lib/tbx/host for root
	HistoryIn  []string      // other directories whose history is shown too
	LockPath   string        // /run/tbx/host.lock for root
	LockWait   time.Duration // how long to wait for other mutators, ours and theirs
	Superuser  bool          // we are root, or the sysroot is ours
	User       int           // on whose behalf, for the history
	Elevate    Elevator      // runs an order as root; nil: never
	Progress   func(Progress)
	Output     func(line string)  // what a build says, as it comes; may be nil
	Trace      func(event string) // what happens, for --debug; may be nil
	NewBackend func(Detection, Config) (Backend, error)
}

// Elevator has an order carried out by a tbx that runs as root.
type Elevator interface {
	Run(ctx context.Context, o Order, progress func(Progress)) (*Answer, error)
}

// Order is what an ordinary user's tbx asks of root's: typed, and validated again there.
type Order struct {
	Request Request `json:"request"`
	DryRun  bool    `json:"dry_run,omitempty"`
}

// Answer is root's answer; the field of the order's verb is set.
type Answer struct {
	Status *Status  `json:"status,omitempty"`
	Check  *Checked `json:"check,omitempty"`
	Result *Result  `json:"result,omitempty"`
}

// Host is an image-based host.
type Host struct {
	cfg Config
	det Detection
	be  Backend
}

// Status is `tbx host status`.
type Status struct {
	Detection    Detection    `json:"detection"`
	Capabilities Capabilities `json:"capabilities"`
	State        *State       `json:"state"`
	Interrupted  *Entry       `json:"interrupted,omitempty"` // began and never ended
	Unbooted     *Entry       `json:"unbooted,omitempty"`    // was to boot and did not
	Unfinished   *Unfinished  `json:"unfinished,omitempty"`  // why the updater could not write it at shutdown, where it says so
}

// Checked is `tbx host check`.
type Checked struct {
	Update *Update `json:"update"`           // null: none
	Staged string  `json:"staged,omitempty"` // the update is there already and waits for a reboot
}

// Result is what a mutating verb came to.
type Result struct {
	Plan      *Plan       `json:"plan"`
	DryRun    bool        `json:"dry_run,omitempty"`
	Unchanged string      `json:"unchanged,omitempty"` // why nothing was changed
	Before    *Deployment `json:"before,omitempty"`    // booted next, before
	After     *Deployment `json:"after,omitempty"`     // boots next, now
	Reboot    string      `json:"reboot,omitempty"`    // why a reboot is needed
	Warnings  []string    `json:"warnings,omitempty"`
}

// Open detects the host and takes the backend for it. Inside a container the
// error is ErrInContainer; on a host without an image-based updater, ErrNotImage
// with what manages it instead.
func Open(cfg Config) (*Host, error) {
	h := &Host{cfg: cfg}
	if cfg.Sysroot != "" {
		h.det = Detection{Kind: OSTree, Evidence: []string{"the sysroot directory " + cfg.Sysroot + " was named"}, Stateroot: cfg.OS}
	} else {
		h.det = Detect(cfg.Root)
	}
	switch {
	case h.det.Container != "":
		return h, fail.New(ErrInContainer, "this is not the host: %s", h.det.Container).
			Hint("run it on the host, or from a toolbox made by tbx, which passes it on")
	case h.det.Kind == None:
		e := fail.New(ErrNotImage, "this host is not image-based: no updater with bootable systems rules it")
		if h.det.Would != "" {
			e.Hint("it is updated with: %s", h.det.Would)
		}
		return h, e
	}
	var err error
	h.be, err = cfg.NewBackend(h.det, cfg)
	return h, err
}

// Detection says what Open found.
func (h *Host) Detection() Detection { return h.det }

// Backend is the driver in use.
func (h *Host) Backend() Backend { return h.be }

func (h *Host) trace(format string, args ...any) {
	if h.cfg.Trace != nil {
		h.cfg.Trace(fmt.Sprintf(format, args...))
	}
}

// Status reads the host. It changes nothing.
func (h *Host) Status(ctx context.Context) (*Status, error) {
	s, err := h.state(ctx)
	if h.mayElevate(err) {
		a, err := h.cfg.Elevate.Run(ctx, Order{Request: Request{Verb: StatusVerb}}, h.cfg.Progress)
		if err != nil {
			return nil, err
		}
		return a.Status, nil
	}
	if err != nil {
		return nil, err
	}
	st := &Status{Detection: h.det, Capabilities: h.be.Capabilities(), State: s}
	entries, err := h.History()
	if err != nil {
		s.Warnings = append(s.Warnings, err.Error())
	}
	st.Interrupted = interrupted(entries)
	if h.det.Booted {
		st.Unbooted = unbooted(entries, bootID(h.cfg.Root), s.Booted())
	}
	if b := s.Booted(); b != nil && b.Kargs == nil && h.det.Booted {
		b.Kargs = RunningKargs(h.cfg.Root)
	}
	if h.cfg.Sysroot == "" {
		st.Unfinished = h.unfinished()
	}
	return st, nil
}

// state reads the backend's state, and hands over to rpm-ostree where bootc
// refuses a host with local modifications.
func (h *Host) state(ctx context.Context) (*State, error) {
	s, err := h.be.State(ctx)
	if errors.Is(err, ErrLocalMods) && h.det.Kind == Bootc {
		d := h.det
		d.Kind = RPMOSTree
		d.Evidence = append(slices.Clone(d.Evidence), "bootc calls this host incompatible: rpm-ostree changed it")
		be, buildErr := h.cfg.NewBackend(d, h.cfg)
		if buildErr != nil {
			return nil, buildErr
		}
		h.det, h.be = d, be
		s, err = be.State(ctx)
	}
	if err == nil {
		if wrong := s.Sound(); wrong != nil {
			return nil, fail.Wrap(ErrBadOutput, wrong, "%s shows what no host can be", h.be.Kind()).Hint("see what it was asked with --verbose, and ask it yourself")
		}
	}
	return s, h.explain(err)
}

// explain classifies a bare tool failure.
func (h *Host) explain(err error) error {
	var te *ToolError
	if err != nil && ProblemOf(err) == nil && errors.As(err, &te) {
		return h.be.Explain(te)
	}
	return err
}

// mayElevate: root's tbx could do what err says this one may not.
func (h *Host) mayElevate(err error) bool {
	return errors.Is(err, ErrPermission) && !h.cfg.Superuser && h.cfg.Elevate != nil
}

// Check looks for an update and changes nothing that boots.
func (h *Host) Check(ctx context.Context) (*Checked, error) {
	s, err := h.state(ctx)
	var u *Update
	if err == nil {
		u, err = h.be.Check(ctx, s)
		err = h.explain(err)
	}
	if h.mayElevate(err) {
		a, err := h.cfg.Elevate.Run(ctx, Order{Request: Request{Verb: CheckVerb}}, h.cfg.Progress)
		if err != nil {
			return nil, err
		}
		return a.Check, nil
	}
	if err != nil {
		return nil, err
	}
	c := &Checked{Update: u}
	if next, booted := s.Next(), s.Booted(); u == nil && booted != nil && next != booted {
		c.Staged = next.Name()
	}
	return c, nil
}

// Plan says what r would do, and does nothing.
func (h *Host) Plan(ctx context.Context, r Request) (*Plan, error) {
	p, _, err := h.plan(ctx, r)
	return p, err
}

func (h *Host) plan(ctx context.Context, r Request) (*Plan, *State, error) {
	asked := r
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	s, err := h.state(ctx)
	if err != nil {
		return nil, nil, err
	}
	if h.det.Live {
		return nil, nil, fail.New(ErrUnsupported, "this is a live medium: a change would be lost").Hint("install the system first")
	}
	if err := keepsWayBack(r, s); err != nil {
		return nil, nil, err
	}
	var p *Plan
	if r.Verb == Rollback && r.Target == "" && h.rolledBack(s) {
		r.Target = s.Next().ID
	}
	if r.Verb == Reboot {
		p, err = h.rebootPlan()
	} else {
		p, err = h.be.Plan(ctx, s, r)
	}
	if err != nil {
		return nil, nil, h.explain(err)
	}
	p.Backend, p.Request, p.StateHash = h.be.Kind(), asked, s.Hash()
	return p, s, nil
}

// rolledBack says whether what boots next is there because of a rollback of ours,
// so that a second one does not toggle.
func (h *Host) rolledBack(s *State) bool {
	entries, err := h.History()
	if err != nil || len(entries) == 0 || s.Next() == nil {
		return false
	}
	e := entries[len(entries)-1]
	return e.Request.Verb == Rollback && e.Request.Target == "" && e.Phase == "end" && e.Outcome == "done" &&
		e.Boot == bootID(h.cfg.Root) && e.Content == s.Next().Content()
}

// rebootPlan asks logind, which asks polkit and honours inhibitors, systemctl(1).
func (h *Host) rebootPlan() (*Plan, error) {
	if h.cfg.Sysroot != "" {
		return nil, fail.New(ErrUnsupported, "%s is not the running system: there is nothing to reboot", h.cfg.Sysroot).
			Hint("leave --sysroot out to restart this machine")
	}
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if err != nil {
		return nil, err
	}
	return &Plan{
		Steps:   []Step{{Argv: []string{systemctl, "reboot", "--check-inhibitors=yes"}, Effect: "restart the machine, unless a program inhibits it"}},
		Effects: []string{"the machine restarts; everything that runs on it ends"},
	}, nil
}

// Do carries out r: plan, lock, compare, run, read again, verify, record. With
// dryRun it only plans.
func (h *Host) Do(ctx context.Context, r Request, dryRun bool) (*Result, error) {
	p, before, err := h.plan(ctx, r)
	if err == nil && (dryRun || p.Unchanged != "") {
		return &Result{Plan: p, DryRun: dryRun, Unchanged: p.Unchanged, Before: before.Next(), After: before.Next(), Reboot: before.Reboot}, nil
	}
	if h.mayElevate(err) || err == nil && p.NeedsRoot && !h.cfg.Superuser {
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
	if err != nil {
		return nil, err
	}
	return h.apply(ctx, p, before)
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
		return nil, fail.New(ErrBusy, "the host changed since the plan for %s was made", p.Request.Verb).Hint("look at tbx host status and try again")
	}
	e := Entry{
		Op: fmt.Sprintf("%d-%d", time.Now().UnixNano(), os.Getpid()), Phase: "begin", Time: time.Now().UTC(),
		Boot: bootID(h.cfg.Root), User: h.cfg.User, Backend: p.Backend, Request: p.Request,
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
		e.Intended, e.Content = res.After.Name(), res.After.Content()
	}
	if recErr := record(h.cfg.StateDir, e); recErr != nil && err == nil {
		res.Warnings = append(res.Warnings, recErr.Error())
	}
	h.trace("recorded")
	return res, err
}

// idle waits until nobody else works on the host, for at most LockWait. A cancel
// is for a busy host, and does not wait.
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
	call.Lines = func(line string) {
		if s.Read != nil && h.cfg.Progress != nil {
			if p, ok := s.Read(line); ok {
				h.cfg.Progress(p)
			}
		}
		if s.Show && h.cfg.Output != nil {
			h.cfg.Output(line)
		}
	}
	if s.Show {
		call.ErrLines = h.cfg.Output
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

// History is what tbx did to this host, oldest first.
func (h *Host) History() ([]Entry, error) {
	return readHistory(append([]string{h.cfg.StateDir}, h.cfg.HistoryIn...))
}

// Diff tells what two deployments differ in; from and to as [State.Find] takes
// them, by default the running one and the next (or, where that is the same, the
// previous one).
func (h *Host) Diff(ctx context.Context, from, to string) (*Diff, error) {
	d, ok := h.be.(Differ)
	if !ok {
		return nil, Unsupported(h.be.Kind(), Verb(CanDiff), h.be.Capabilities().Lacks[CanDiff])
	}
	s, err := h.state(ctx)
	if err != nil {
		return nil, err
	}
	a, b := s.Current(), s.Next()
	if a == b && to == "" && from == "" {
		if a, err = s.Back(""); err != nil {
			return nil, err
		}
	}
	if from != "" {
		if a, err = s.Find(from); err != nil {
			return nil, err
		}
	}
	if to != "" {
		if b, err = s.Find(to); err != nil {
			return nil, err
		}
	}
	out, err := d.Diff(ctx, a, b)
	return out, h.explain(err)
}

// EtcDiff lists what this machine changed in /etc: "M app.conf".
func (h *Host) EtcDiff(ctx context.Context) ([]string, error) {
	d, ok := h.be.(EtcDiffer)
	if !ok {
		return nil, Unsupported(h.be.Kind(), Verb(CanEtcDiff), h.be.Capabilities().Lacks[CanEtcDiff])
	}
	s, err := h.state(ctx)
	if err != nil {
		return nil, err
	}
	out, err := d.EtcDiff(ctx, s)
	return out, h.explain(err)
}
