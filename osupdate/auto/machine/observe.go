package machine

// observe brings the record into line with what runs and what boots next. What happened
// since the last run may be an interrupted action of tbx, a restart, or the work of a
// person, who is never contradicted.
func observe(r *Record, f Facts) {
	first := !r.Running.Known()
	switch {
	case !f.Running.Known():
		return
	case first:
		if r.State == "" {
			r.State, r.Since = Idle, f.Now
		}
		waits(r, f, false)
	case !r.Running.Is(f.Running) || r.Boot != f.Boot:
		booted(r, f)
		return
	}
	waits(r, f, false)
}

// booted is after a restart, or a soft one.
func booted(r *Record, f Facts) {
	for i := range r.Restarts {
		if r.Restarts[i].Release.Is(f.Running) {
			r.Restarts[i].Arrived = true
		}
	}
	fresh := !r.Running.Is(f.Running) && r.State != Proving && r.State != RollingBack && r.State != Stopped
	switch isTarget := r.Target.Is(f.Running); {
	case fresh && (isTarget || r.Next.Is(f.Running)):
		r.Target, r.From = f.Running, r.Running
		r.enter(Proving, f.Now)
		r.Unhealthy, r.Reasons, r.NextLook, r.Trouble, r.Blocked = 0, nil, f.Now, nil, nil
	case r.State == RollingBack && r.From.Is(f.Running):
		r.settle(f.Now)
	case r.State == RollingBack && r.pending(r.From):
		r.stop(f.Now, "the machine was to go back to "+r.From.Name()+" and runs "+f.Running.Name())
	case r.State == Proving && !isTarget: // a person, greenboot or boot counting
		r.deny(r.Target, "the machine went back from it", f.Now)
		r.keep("this machine went back from " + r.Target.Name())
		r.settle(f.Now)
	case r.State == Rebooting: // it could not be written at shutdown
		r.Trouble = &Trouble{Kind: "finalisation failed", Text: r.Target.Name() + " was to boot and did not", Count: 1, First: f.Now, Next: f.Now}
		r.keep(r.Target.Name() + " did not boot here")
		waits(r, f, true)
	case !r.Running.Is(f.Running):
		if r.From.Is(f.Running) || older(f.Running, r.Running) {
			r.deny(r.Running, "a person went back from it", f.Now)
		}
		if !f.Next.Is(r.Target) {
			r.settle(f.Now)
		}
	default:
		waits(r, f, true)
	}
}

// older says whether a was made before b, where both dates are known.
func older(a, b Release) bool { return !a.Time.IsZero() && !b.Time.IsZero() && a.Time.Before(b.Time) }

// waits compares what boots next with the record: an action was interrupted, or a person
// has changed it, or, after a boot, the shutdown could not write it.
func waits(r *Record, f Facts, afterBoot bool) {
	other := f.Next.Known() && !f.Next.Is(f.Running)
	switch r.State {
	case Idle, Waiting:
		switch {
		case other && !f.Chosen && !f.Next.Is(r.Next): // by hand, or by a tbx that was ended before it could write
			adopt(r, f)
		case !other && !afterBoot:
			r.deny(r.Next, "it was withdrawn by hand", f.Now)
		}
	case Staging:
		if other && !f.Chosen {
			adopt(r, f)
			return
		}
		r.enter(Waiting, f.Now)
	case Staged, Rebooting:
		switch {
		case other && f.Next.Is(r.Target):
			r.enter(Staged, f.Now)
		case other && !f.Chosen:
			adopt(r, f)
		default: // withdrawn, gone back from before it ever ran, or not written
			if !afterBoot {
				r.deny(r.Target, "it was withdrawn by hand", f.Now)
			}
			r.settle(f.Now)
		}
	}
}

// adopt takes what boots next for the target: a person or another run has staged it. What
// is denied stays what a person wants, if it was theirs; tbx's own is withdrawn.
func adopt(r *Record, f Facts) {
	own := r.State == Staging
	same := r.Target.Is(f.Next)
	if !same {
		r.FirstSeen = f.Now
	}
	wrong := own && r.Exact && !same
	r.Target, r.From, r.Blocked, r.Exact = f.Next, f.Running, nil, r.Exact && same
	if own && r.denied(f.Next) != nil || wrong {
		r.enter(Withdrawing, f.Now)
		return
	}
	r.enter(Staged, f.Now)
}
