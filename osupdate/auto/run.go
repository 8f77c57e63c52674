package auto

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// Host is what is asked of an osupdate.Host.
type Host interface {
	Status(ctx context.Context) (*osupdate.Status, error)
	Check(ctx context.Context) (*osupdate.Checked, error)
	Do(ctx context.Context, r osupdate.Request, dryRun bool) (*osupdate.Result, error)
}

// Runner takes the steps.
type Runner struct {
	Host     Host
	Settings Settings
	Dir      string // of the memory
	LockPath string
	Root     string
	Tools    *osupdate.Tools
	Bus      Bus
	Fleet    Fleet // nil: none
	Now      func() time.Time
	Say      func(Event)   // what happens, for the journal
	Outlets  *tell.Outlets // where people read what they have to know; nil: nowhere
	Notice   time.Duration // between the warning and a restart
	Force    bool          // a person asked: check at once, and mind no conditions and no pause
	Changed  bool          // whether anything was changed: set by Run
}

// Event is one thing that happens.
type Event struct {
	Text   string
	Fields map[string]string // of the journal
}

// maxSteps is more than any run takes; the machine has no circle that needs none of time,
// restart or person.
const maxSteps = 12

// Run takes as many steps as can be taken now, and returns the memory afterwards. An
// error of the updater is remembered, with the time of the next try, and returned too.
func (r *Runner) Run(ctx context.Context) (Memory, error) {
	lock, err := flock.Try(r.LockPath)
	if errors.Is(err, flock.ErrBusy) {
		return Memory{}, fail.New(osupdate.ErrBusy, "another run of automatic updates is at work").Hint("see what it does: tbx host auto status")
	}
	if err != nil {
		return Memory{}, err
	}
	defer lock.Close()
	m, err := Recall(r.Dir)
	if err != nil {
		return m, err
	}
	if r.Force {
		m.Paused, m.Checked, m.Trouble = time.Time{}, time.Time{}, nil
	}
	if m, err = r.steps(ctx, m); r.Outlets != nil {
		err = errors.Join(err, r.tell(ctx, &m))
	}
	if stepErr := r.stepped(m); stepErr != nil {
		r.Say(Event{Text: "toolboxes are not upgraded after the host: " + stepErr.Error()}) // the host's result is its own
	}
	return m, err
}

// steps is the loop of Run.
func (r *Runner) steps(ctx context.Context, m Memory) (Memory, error) {
	var last error
	for range maxSteps {
		f, err := r.facts(ctx)
		if err != nil {
			return m, err
		}
		rec, action := machine.Decide(m.Record, f, r.Settings.Policy())
		if m.Record = rec; action == machine.Stage {
			m.Failing = r.prover(m).Failing(ctx)
		}
		if err := Keep(r.Dir, m); err != nil {
			return m, err
		}
		if action == machine.Nothing {
			return m, last
		}
		r.Say(Event{fmt.Sprintf("%s: %s", rec.State, action), map[string]string{"TBX_STATE": string(rec.State), "TBX_ACTION": string(action),
			"TBX_RELEASE": rec.Target.Name()}})
		var o machine.Outcome
		o, last = r.act(ctx, action, m)
		m.Record = machine.After(m.Record, action, o)
		m.Blockers = r.blockers(ctx, m, last)
		r.Changed = r.Changed || last == nil &&
			!slices.Contains([]machine.Action{machine.Check, machine.Prove, machine.Lock, machine.Unlock}, action)
		if err := Keep(r.Dir, m); err != nil {
			return m, err
		}
		if action == machine.Restarting && last == nil || ctx.Err() != nil {
			return m, last
		}
	}
	return m, last
}

func (r *Runner) prover(m Memory) *Prover {
	return &Prover{Root: r.Root, Tools: r.Tools, Settings: &r.Settings, Known: m.Failing, Source: func(ctx context.Context) error {
		_, err := r.Host.Check(ctx)
		return err
	}}
}

// facts reads the host.
func (r *Runner) facts(ctx context.Context) (machine.Facts, error) {
	st, err := r.Host.Status(ctx)
	if err != nil {
		return machine.Facts{}, err
	}
	s, now := st.State, r.Now()
	f := machine.Facts{Now: now, Boot: osupdate.BootID(r.Root), Running: release(s.Booted()), Next: release(s.Next())}
	for i := range s.Deployments {
		f.Back = f.Back || s.Deployments[i].Rollback
	}
	switch s.Boot.State {
	case osupdate.BootOther, osupdate.BootRollback, osupdate.BootUnknown:
		f.Chosen = true
	}
	if s.Busy != nil {
		f.Busy = s.Busy.What
	}
	f.Manager = manager(s, Others(r.Root))
	if !r.Force {
		f.Blocks, f.Firm = Conditions(ctx, r.Root, &r.Settings, r.Bus)
	}
	f.Permit = permit(ctx, &r.Settings, r.Bus, now)
	return f, nil
}

// manager is who else updates the host, or "".
func manager(s *osupdate.State, others []Other) string {
	switch {
	case s.Driver != nil && !s.Driver.Inactive:
		return s.Driver.Name
	case len(s.Custom) > 0:
		return s.Custom[0]
	case len(others) > 0:
		return others[0].Name
	}
	return ""
}

func release(d *osupdate.Deployment) machine.Release {
	if d == nil {
		return machine.Release{}
	}
	rel := machine.Release{Content: d.Content(), Base: d.Base, Version: d.Version}
	if d.Image != nil {
		rel.Digest = d.Image.Digest
	}
	if t := d.BaseTime; t != nil {
		rel.Time = *t
	} else if d.Time != nil {
		rel.Time = *d.Time
	}
	return rel
}

// act carries an action out.
func (r *Runner) act(ctx context.Context, a machine.Action, m Memory) (machine.Outcome, error) {
	o := machine.Outcome{}
	var err error
	switch a {
	case machine.Check:
		o, err = r.look(ctx, m)
	case machine.Stage:
		var res *osupdate.Result
		if m.Exact {
			res, err = r.stageExact(ctx, m.Target)
		} else {
			res, err = r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Upgrade}, false)
		}
		if err == nil && res.After != nil {
			o.Found = release(res.After)
		}
	case machine.Lock:
		err = r.Fleet.Lock(ctx)
		o.Refused = errors.Is(err, ErrNoSlot)
	case machine.Unlock:
		err = r.Fleet.Unlock(ctx)
	case machine.Withdraw:
		_, err = r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Cancel}, false)
	case machine.GoBack:
		err = r.goBack(ctx, m.From)
	case machine.Prove:
		v := r.prover(m).Prove(ctx)
		for _, text := range append(v.Remarks, v.Reasons...) {
			r.Say(Event{Text: "health: " + text})
		}
		o.Healthy, o.Reasons, o.Judge = v.Health, v.Reasons, v.Judge
	case machine.Restarting:
		// The policy has judged the sessions already.
		r.warn(ctx, fmt.Sprintf("tbx restarts this machine in %s, to boot %s", r.Notice, m.Next.Name()))
		_, err = r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Reboot, DespiteUsers: true}, false)
	}
	o.Now = r.Now()
	if err != nil {
		o.Err = &machine.Trouble{Kind: "backend failed", Text: err.Error()}
		if p := osupdate.ProblemOf(err); p != nil {
			o.Err.Kind = p.Name
		}
	}
	if o.Refused { // nothing is wrong
		err = nil
	}
	return o, err
}

// look asks the fleet, or the source of updates where there is none.
func (r *Runner) look(ctx context.Context, m Memory) (machine.Outcome, error) {
	if r.Settings.Fleet.Graph != "" {
		return r.choose(ctx, m)
	}
	var o machine.Outcome
	c, err := r.Host.Check(ctx)
	if err == nil && c.Update != nil {
		o.Found = found(c.Update)
		o.Security = c.Update.Severity == "important" || c.Update.Severity == "critical" || len(c.Update.Advisories) > 0
	}
	return o, err
}

// newest is what the updater itself would take; unknown: nothing.
func (r *Runner) newest(ctx context.Context) (machine.Release, error) {
	c, err := r.Host.Check(ctx)
	if err != nil || c.Update == nil {
		return machine.Release{}, err
	}
	return found(c.Update), nil
}

func found(u *osupdate.Update) machine.Release {
	rel := machine.Release{Content: u.Checksum, Digest: u.Checksum, Version: u.Version}
	if rel.Content == "" {
		rel.Content = u.Version
	}
	return rel
}

// goBack has the release boot next that ran before, by its index: another system may
// be the updater's own way back.
func (r *Runner) goBack(ctx context.Context, from machine.Release) error {
	st, err := r.Host.Status(ctx)
	if err != nil {
		return err
	}
	for i := range st.State.Deployments {
		if d := &st.State.Deployments[i]; release(d).Is(from) && !d.Booted {
			_, err := r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Rollback, Target: fmt.Sprint(d.Index)}, false)
			return err
		}
	}
	return fail.New(osupdate.ErrNoRollback, "%s, which ran before the update, is not kept any more", from.Name()).
		Hint("see what there is: tbx host status")
}
