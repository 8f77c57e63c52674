package osupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// Config is what a Host needs from its caller.
type Config struct {
	Root       string        // of the running system; "/" except in tests
	Sysroot    string        // an OSTree sysroot directory to manage instead of the running host
	OS         string        // its stateroot, if it has several
	Tools      *Tools        //
	StateDir   string        // history; /var/lib/tbx/host for root
	HistoryIn  []string      // other directories whose history is shown too
	LockPath   string        // /run/tbx/host.lock for root
	LockWait   time.Duration // the longest wait for other programs that change the host
	Superuser  bool          // we are root, or the sysroot is ours
	User       int           // on whose behalf, for the history
	Elevate    Elevator      // runs an order as root; nil: never
	Progress   func(Progress)
	Output     func(line string)  // the output of a build; may be nil
	Trace      func(event string) // what happens, for --debug; may be nil
	NewBackend func(Detection, Config) (Backend, error)
}

// Elevator carries out an order by a tbx that runs as root.
type Elevator interface {
	Run(ctx context.Context, o Order, progress func(Progress)) (*Answer, error)
}

// Order is an ordinary user's request to root's tbx: typed, and validated again there.
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
	Unbooted     *Entry       `json:"unbooted,omitempty"`    // should have booted and did not
	Unfinished   *Unfinished  `json:"unfinished,omitempty"`  // why the updater could not write it at shutdown, if known
}

// Checked is `tbx host check`.
type Checked struct {
	Update     *Update  `json:"update"`                // null: none
	Staged     string   `json:"staged,omitempty"`      // the update is there already and waits for a reboot
	Downloaded string   `json:"downloaded,omitempty"`  // a system that is downloaded and not applied
	NotChecked []string `json:"not_checked,omitempty"` // what was not looked at, as parts of a sentence
	Refused    *Refusal `json:"refused,omitempty"`     // why an upgrade would be refused now
	Boot       Boot     `json:"boot"`                  // what boots next
}

// Result is the result of a changing verb.
type Result struct {
	Plan      *Plan       `json:"plan"`
	DryRun    bool        `json:"dry_run,omitempty"`
	Unchanged string      `json:"unchanged,omitempty"` // why nothing was changed
	Before    *Deployment `json:"before,omitempty"`    // booted next, before
	After     *Deployment `json:"after,omitempty"`     // boots next, now
	Reboot    string      `json:"reboot,omitempty"`    // why a reboot is needed
	Warnings  []string    `json:"warnings,omitempty"`
}

// Open detects the host and its backend. Inside a container the error is ErrInContainer;
// on a host without an image-based updater, ErrNotImage with the command that updates it
// instead.
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
		e := fail.New(ErrNotImage, "this host is not image-based: it has no updater with bootable systems")
		if h.det.Would != "" {
			e.Hint("it is updated with: %s", h.det.Would)
		}
		return h, e
	}
	var err error
	h.be, err = cfg.NewBackend(h.det, cfg)
	return h, err
}

// Detection returns what Open found.
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
	if e := interrupted(entries); s.Busy == nil && !atWork(e, BootID(h.cfg.Root)) {
		st.Interrupted = e
	}
	if h.det.Booted {
		if e := unbooted(entries, BootID(h.cfg.Root), s); e != nil && h.rightAfter(ctx, e.Boot) {
			st.Unbooted = e
		}
	}
	if b := s.Booted(); b != nil && b.Kargs == nil && h.det.Booted {
		b.Kargs = RunningKargs(h.cfg.Root)
	}
	if h.cfg.Sysroot == "" {
		st.Unfinished = h.unfinished()
	}
	return st, nil
}

// state reads the backend's state, and switches to rpm-ostree if bootc refuses a host
// with local modifications.
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
		h.learn(s)
		s.Warnings = append(s.Warnings, h.noRoomAtShutdown(s)...)
		if wrong := s.Sound(); wrong != nil {
			return nil, fail.Wrap(ErrBadOutput, wrong, "%s shows an impossible state", h.be.Kind()).
				Hint("see the command with --verbose, and try it yourself")
		}
	}
	return s, h.explain(err)
}

// learn adds to s what only the history knows: that tbx chose the next system in this
// boot.
func (h *Host) learn(s *State) {
	booted, next := s.Booted(), s.Next()
	entries, err := h.History()
	if err != nil {
		return // Status says so
	}
	runs := now{boot: BootID(h.cfg.Root)}
	if booted != nil {
		runs.content = booted.Content()
	}
	if next != nil {
		s.wentBack = lastWentBack(entries, runs, next.Content())
	}
	if booted == nil || slices.Contains([]BootState{BootRunning, BootSoft}, s.Boot.State) || next != nil && next.Staged {
		return
	}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		by := chosen(entries, runs, d.Content())
		if by == "" || by == s.Boot.By || d.Booted || !d.Next && s.Boot.State != BootUnknown || d.Locked {
			continue
		}
		s.Boot = Boot{Next: d.ID, By: by, Source: "the history of tbx"}
		s.Arrange()
		return
	}
}

// rightAfter reports whether this boot directly followed the boot with that id, by the
// journal. Later boots say nothing about it.
func (h *Host) rightAfter(ctx context.Context, boot string) bool {
	journalctl, err := h.cfg.Tools.Path("journalctl")
	if err != nil || h.cfg.Root != "/" {
		return true
	}
	out, _, err := h.cfg.Tools.Run(ctx, Call{Argv: []string{journalctl, "--quiet", "--boot=-1", "--lines=1", "--output=json",
		"--output-fields=_BOOT_ID"}})
	var line struct {
		Boot string `json:"_BOOT_ID"`
	}
	if err != nil || json.Unmarshal(out, &line) != nil || line.Boot == "" {
		return true
	}
	return line.Boot == strings.ReplaceAll(boot, "-", "")
}

// explain classifies a bare tool failure.
func (h *Host) explain(err error) error {
	var te *ToolError
	if err != nil && ProblemOf(err) == nil && errors.As(err, &te) {
		return h.be.Explain(te)
	}
	return err
}

// mayElevate reports whether retrying as root could help: err is a permission error and
// elevation is configured.
func (h *Host) mayElevate(err error) bool {
	return errors.Is(err, ErrPermission) && !h.cfg.Superuser && h.cfg.Elevate != nil
}

// wayToOld adds a hint to err, which says that the source can have no news: the source
// that the host followed before tbx moved it to a file, or to an own image.
func (h *Host) wayToOld(s *State, err error) error {
	var e *fail.Error
	class := ParseSource(s.Tracked).Class
	if !errors.As(err, &e) || !errors.Is(err, ErrUnsupported) || class != SourceArchive && class != SourceLocal {
		return err
	}
	entries, readErr := h.History()
	if readErr != nil {
		return err // Status says so
	}
	for _, entry := range slices.Backward(entries) {
		verb, was := entry.Request.Verb, ParseSource(entry.Follows).Class
		if entry.Phase == "end" && entry.Outcome == "done" && (verb == Switch || verb == BuildVerb) && (was == SourceRef || was == SourceImage) {
			e.Hint("to follow again what it followed before: tbx host switch %s", entry.Follows)
			return err
		}
	}
	return err
}

// Check looks for an update and changes nothing that boots.
func (h *Host) Check(ctx context.Context) (*Checked, error) {
	s, err := h.state(ctx)
	var u *Update
	if err == nil {
		u, err = h.be.Check(ctx, s)
		err = h.wayToOld(s, h.explain(err))
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
	c := &Checked{Update: u, Boot: s.Boot}
	if next := s.Waits(); u == nil && next != nil {
		c.Staged = s.Label(next)
	}
	if n, ok := h.be.(Limited); ok {
		c.NotChecked = n.NotChecked(s)
	}
	if d := s.Downloaded(); d != nil {
		c.Downloaded = s.Label(d)
	}
	c.Refused = h.refuses(ctx, s, Request{Verb: Upgrade})
	return c, nil
}

// History returns what tbx did to this host, oldest first.
func (h *Host) History() ([]Entry, error) {
	entries, err := readHistory(append([]string{h.cfg.StateDir}, h.cfg.HistoryIn...))
	return of(entries, h.cfg.Sysroot), err
}

// Kargs returns the kernel arguments of the next boot and the running ones; nil if they
// are not known.
func (h *Host) Kargs(ctx context.Context) (next, running []string, err error) {
	st, err := h.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := st.State
	if b := s.Booted(); b != nil {
		running = b.Kargs
		if h.cfg.Sysroot == "" {
			running = RunningKargs(h.cfg.Root)
		}
	}
	if n := s.Next(); n != nil {
		next = n.Kargs
	}
	if r, ok := h.be.(KargsReader); ok && (next == nil || h.cfg.Sysroot == "" && s.Next() != s.Booted()) {
		if list, readErr := r.NextKargs(ctx, s); readErr == nil {
			next = list
		} else {
			h.trace("the kernel arguments of the next boot: %v", readErr)
		}
	}
	return next, running, nil
}

// Diff compares two deployments. from and to are names for [State.Find], by default the
// running one and the next (or, if that is the same, the previous one).
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

// EtcDiff lists this machine's changes in /etc: "M app.conf".
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
