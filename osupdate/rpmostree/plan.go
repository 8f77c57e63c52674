package rpmostree

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// planner carries out one verb: it adds steps to a plan.
type planner func(b *Backend, ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error

// planners are the verbs that rpm-ostree has.
func planners() map[osupdate.Verb]planner {
	return map[osupdate.Verb]planner{
		osupdate.Upgrade: (*Backend).upgrade, osupdate.Rollback: (*Backend).rollback, osupdate.Switch: (*Backend).switchTo,
		osupdate.Pin: (*Backend).pin, osupdate.Unpin: (*Backend).pin,
		osupdate.Install: (*Backend).install, osupdate.Uninstall: (*Backend).uninstall,
		osupdate.OverrideReplace: (*Backend).replace, osupdate.OverrideRemove: (*Backend).remove, osupdate.OverrideReset: (*Backend).reset,
		osupdate.Kargs: (*Backend).kargs, osupdate.Initramfs: (*Backend).initramfs,
		osupdate.ApplyLive: (*Backend).applyLive, osupdate.Overlay: (*Backend).overlay,
		osupdate.Cancel: (*Backend).cancel, osupdate.Cleanup: (*Backend).cleanup,
	}
}

// Plan maps the verbs to rpm-ostree's, and to those of ostree that keep every system.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	plan, ok := planners()[r.Verb]
	if !ok {
		return nil, osupdate.Unsupported(osupdate.RPMOSTree, r.Verb, "")
	}
	if s.Current() == nil {
		return nil, noDeployment()
	}
	if d := s.Driver; d != nil && !d.Inactive && (r.Verb == osupdate.Upgrade || r.Verb == osupdate.Switch) {
		return nil, fail.New(osupdate.ErrManaged, "updates of this host are driven by %s (%s)", d.Name, d.Unit).
			Hint("leave it to %s, or stop it first: systemctl stop %s", d.Name, d.Unit)
	}
	p := &osupdate.Plan{NeedsBoot: true, Reversible: true}
	if err := plan(b, ctx, s, r, p); err != nil {
		return nil, err
	}
	if d := s.Downloaded(); d != nil && p.Unchanged == "" && p.NeedsBoot && r.Verb != osupdate.Upgrade && r.Verb != osupdate.Rollback &&
		r.Verb != osupdate.Cancel {
		p.Warnings = append(p.Warnings,
			"this lands on "+s.Label(d)+", which is downloaded and locked: a plain reboot loses both; tbx host upgrade unlocks it")
	}
	b.tellAgent(s, r, p)
	return p.Finish(osupdate.RPMOSTree, r), nil
}

// tellAgent adds the step that has an agent look again, where the update that it has
// staged and locked is replaced or dropped: it would wait to apply what is gone. An
// agent begins anew when its unit is restarted.
func (b *Backend) tellAgent(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) {
	d := s.Driver
	if d == nil || d.Inactive || s.Downloaded() == nil || p.Unchanged != "" || !replaces(r) {
		return
	}
	systemctl, err := b.tools.Path("systemctl")
	if err != nil {
		p.Warnings = append(p.Warnings, "the update of "+d.Name+" goes; have it look again by restarting "+d.Unit)
		return
	}
	p.Steps = append(p.Steps, osupdate.Step{
		Argv: []string{systemctl, "try-restart", d.Unit}, Effect: "have " + d.Name + " look again: its update is replaced",
	})
}

// replaces says whether a request puts another system in the place of what is staged,
// or drops it. Kernel arguments leave it the same commit, which an agent asks for.
func replaces(r osupdate.Request) bool {
	switch r.Verb {
	case osupdate.Pin, osupdate.Unpin, osupdate.Kargs, osupdate.ApplyLive, osupdate.Overlay:
		return false
	case osupdate.Cleanup:
		return slices.Contains(r.Parts, "pending")
	}
	return true
}

func (b *Backend) step(p *osupdate.Plan, effect string, args ...string) *osupdate.Step {
	p.Steps = append(p.Steps, osupdate.Step{
		Argv: append([]string{b.rpmostree}, args...), Effect: effect, Read: osupdate.Percent(args[0]),
		Idle: idle, Stop: []string{b.rpmostree, "cancel"},
	})
	return &p.Steps[len(p.Steps)-1]
}

func idle(_, _ string, code int) bool { return code == ostreefamily.Unchanged }

func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	source := osupdate.ParseSource(s.Head().Tracks)
	if source.Class != osupdate.SourceLocal && source.Class != osupdate.SourceArchive {
		if err := source.NoNews(s.Custom); err != nil && r.Target == "" {
			return err
		}
	}
	p.Network = true
	if r.Target != "" {
		b.deploy(s, r, p)
		return nil
	}
	args, effect := []string{"upgrade", "--unchanged-exit-77"}, "fetch the newest of "+s.Tracked+" and boot it next"
	if r.AllowDowngrade {
		args = append(args, "--allow-downgrade")
	}
	if r.DownloadOnly {
		args, effect, p.NeedsBoot = append(args, "--download-only"), "fetch the newest of "+s.Tracked+"; what boots next stays", false
	}
	b.step(p, effect, args...).OK = []int{ostreefamily.Unchanged}
	if d := s.Downloaded(); d != nil && !r.DownloadOnly {
		return b.unlock(ctx, s, d, p)
	}
	return nil
}

// unlock adds the step that has a locked system applied after all, unless the step
// before has staged a newer one in its place.
func (b *Backend) unlock(ctx context.Context, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) error {
	help, err := ostreefamily.Admin(b.tools, "--help")
	if err != nil {
		return err
	}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: help})
	if err != nil {
		return err
	}
	if !strings.Contains(string(out), "lock-finalization") {
		return fail.New(osupdate.ErrManaged, "%s is downloaded and locked by another program, and this ostree cannot unlock it", s.Label(d)).
			Hint("whoever locked it applies it; or apply it and restart at once: rpm-ostree finalize-deployment %s", d.Checksum).
			Hint("or drop it, and upgrade again: tbx host cancel")
	}
	argv, err := ostreefamily.Admin(b.tools, "lock-finalization")
	p.NeedsRoot = true
	p.Steps = append(p.Steps, osupdate.Step{
		Argv: append(argv, "--unlock"), Effect: "unlock what is downloaded, so that it boots next",
		Skip: func(ctx context.Context) (bool, error) {
			now, _, err := b.status(ctx)
			return err == nil && now.Downloaded() == nil, err
		},
	})
	return err
}

func (b *Backend) deploy(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) {
	if n := s.Next(); n != nil && (n.Version == r.Target || n.Checksum == r.Target || n.Image != nil && n.Image.Digest == r.Target) {
		p.Unchanged = n.Name() + " boots next already"
		return
	}
	target := r.Target
	if raw, err := hex.DecodeString(target); err == nil && len(raw) == 32 {
		target = "revision=" + target
	}
	args := []string{"deploy", target}
	if !r.AllowDowngrade {
		args = append(args, "--disallow-downgrade")
	}
	b.step(p, "fetch "+r.Target+" of "+s.Tracked+" and boot it next", args...)
}

// rollback names its target, because `rpm-ostree rollback` alone is a toggle, and
// `cleanup -p` deletes every system before the running one for good, also one that a
// rollback put there.
func (b *Backend) rollback(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	return ostreefamily.Rollback(s, r, p, func(d *osupdate.Deployment) error { return b.makeNext(ctx, s, d, p) })
}

// makeNext has d boot next, and loses no system but a staged one.
func (b *Backend) makeNext(ctx context.Context, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) error {
	cur, behind := s.Current(), ostreefamily.Behind(s)
	staged := slices.IndexFunc(s.Deployments, func(d osupdate.Deployment) bool { return d.Staged })
	previous := b.previous(s)
	switch {
	case d.Staged:
		return fail.New(osupdate.ErrUnsupported, "%s is downloaded and locked", s.Label(d)).Hint("to have it applied: tbx host upgrade")
	case len(behind) == 0 && (d == cur && staged >= 0 || d == previous):
		if staged >= 0 {
			b.step(p, "drop "+s.Label(&s.Deployments[staged])+", which is staged", "cleanup", "-p")
		}
		if d != cur {
			b.step(p, "boot "+s.Label(d)+" next", "rollback")
		}
		return nil
	case d == cur && len(behind) == 1 && staged < 0 && previous == nil:
		b.step(p, "boot the running "+s.Label(d)+" next, and keep "+s.Label(behind[0]), "rollback")
		return nil
	}
	if _, err := b.tools.Path("ostree"); err == nil {
		can, err := ostreefamily.SetDefault(ctx, b.tools, s, d, p)
		if can || err != nil {
			return err
		}
	}
	return osupdate.Unsupported(osupdate.RPMOSTree, osupdate.Rollback,
		"this ostree has no admin set-default, which 2023.6 and newer have; choose the system in the boot menu, or take an older version: tbx "+
			"host upgrade --to VERSION --allow-downgrade")
}

// nothingIn says whether none of the systems that parts name is there to be deleted: a
// pinned one stays.
func (b *Backend) nothingIn(s *osupdate.State, parts []string) bool {
	cur, next := s.Current(), s.Next()
	for _, part := range parts {
		switch {
		case part == "pending" && (s.Downloaded() != nil || next != cur):
			return false
		case part == "rollback" && slices.ContainsFunc(s.Deployments, func(d osupdate.Deployment) bool {
			return d.Index > cur.Index && d.Stateroot == cur.Stateroot && !d.Pinned
		}):
			return false
		case part == "base" || part == "cache":
			return false
		}
	}
	return true
}

// previous is the system that `rpm-ostree rollback` goes to: the first of the same
// stateroot after the running one.
func (b *Backend) previous(s *osupdate.State) *osupdate.Deployment {
	cur := s.Current()
	for i := range s.Deployments {
		if d := &s.Deployments[i]; d.Index > cur.Index && d.Stateroot == cur.Stateroot {
			return d
		}
	}
	return nil
}

func (b *Backend) pin(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	admin, err := ostreefamily.Admin(b.tools, "pin")
	if err != nil {
		return err
	}
	p.NeedsRoot = true
	return ostreefamily.Pin(s, r, p, admin)
}

func (b *Backend) switchTo(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	var remotes []string
	for name := range ostreefamily.Remotes(b.root, b.root) {
		remotes = append(remotes, name)
	}
	head := s.Head()
	now := osupdate.ParseSource(head.Tracks)
	to, err := now.To(r.Target, remotes)
	if err != nil {
		return err
	}
	if now.Same(to) {
		p.Unchanged = "the host follows " + to.Text + " already"
		return nil
	}
	if len(remotes) > 0 && to.Class == osupdate.SourceRef && to.Remote != "" && !slices.Contains(remotes, to.Remote) {
		return fail.New(osupdate.ErrNotFound, "switch: there is no OSTree remote %s", to.Remote).Hint("see which there are: ostree remote list")
	}
	if c := head.Changes; c.Any() && to.Transport != "" {
		p.Warnings = append(p.Warnings, comeAlong(c))
	}
	p.Network = true
	b.step(p, "follow "+to.Text+" from now on, fetch it and boot it next", "rebase", to.Text)
	return nil
}

func (b *Backend) kargs(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	step := ostreefamily.KargsStep(b.rpmostree, r)
	step.Idle, step.Stop = idle, []string{b.rpmostree, "cancel"}
	step.Effect = "change the kernel arguments of the next boot, on " + s.Label(s.Head())
	p.Steps = append(p.Steps, step)
	return nil
}

func (b *Backend) initramfs(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	enable, c := r.Target == "enable", s.Head().Changes
	if c.Initramfs == enable && (len(r.Dracut) == 0 || slices.Equal(r.Dracut, c.Dracut)) {
		p.Unchanged = "the initramfs is as asked for already"
		return nil
	}
	args, effect := []string{"initramfs", "--disable"}, "use the initramfs of the base again"
	if enable {
		args, effect = []string{"initramfs", "--enable"}, "make the initramfs on this host, now and at every upgrade"
		for _, a := range r.Dracut {
			args = append(args, "--arg="+a)
		}
	}
	b.step(p, effect, args...)
	return nil
}

func (b *Backend) applyLive(_ context.Context, s *osupdate.State, _ osupdate.Request, p *osupdate.Plan) error {
	p.NeedsBoot, p.Reversible = false, false
	next := s.Next()
	if next == nil || next == s.Current() {
		p.Unchanged = "nothing waits for the next boot"
		return nil
	}
	b.step(p, "bring the packages that "+s.Label(next)+" adds into the running system now; what it replaces still needs a reboot",
		"apply-live")
	return nil
}

func (b *Backend) overlay(_ context.Context, s *osupdate.State, _ osupdate.Request, p *osupdate.Plan) error {
	p.NeedsBoot, p.NeedsRoot = false, true
	if cur := s.Current(); cur.Unlocked != "" {
		p.Unchanged = "/usr is writable already (" + cur.Unlocked + ")"
		return nil
	}
	b.step(p, "make /usr writable until the next boot", "usroverlay").Stop = nil
	return nil
}

// cancel drops what is staged. What a rollback or the boot menu left before the
// running system is kept: the running one becomes the default again.
func (b *Backend) cancel(ctx context.Context, s *osupdate.State, _ osupdate.Request, p *osupdate.Plan) error {
	p.Reversible, p.NeedsBoot = false, false
	if s.Busy != nil {
		b.step(p, "stop "+s.Busy.What, "cancel").Stop = nil
		return nil
	}
	cur, next, locked := s.Current(), s.Next(), s.Downloaded()
	behind := ostreefamily.Behind(s)
	switch {
	case (next == nil || next == cur) && locked == nil:
		p.Unchanged = "nothing runs, and nothing waits for the next boot"
		return nil
	case len(behind) > 0 && (locked != nil || next.Staged): // "cleanup -p" would delete those too
		return b.makeNext(ctx, s, cur, p)
	case locked != nil:
		b.step(p, "drop "+s.Label(locked)+", which is downloaded", "cleanup", "-p")
		return nil
	case s.Boot.By == osupdate.ByUpdate && !next.Staged: // made in this boot, and never ran
		b.step(p, "delete "+s.Label(next)+", which would have booted next", "cleanup", "-p")
		return nil
	}
	p.Reversible = !next.Staged
	return b.makeNext(ctx, s, cur, p)
}

// cleanup: "cleanup -p" deletes every system before the running one for good, also one
// that a rollback put there and that an update was staged upon.
func (b *Backend) cleanup(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	behind, next := ostreefamily.Behind(s), s.Next()
	if slices.Contains(r.Parts, "pending") && len(behind) > 0 && next != nil && (next.Staged || s.Boot.By != osupdate.ByUpdate) {
		return fail.New(osupdate.ErrUnsafe, "cleanup: %s, which ran before, would be deleted for good with what is staged", s.Label(behind[0])).
			Hint("to withdraw what waits and keep it: tbx host cancel")
	}
	p.NeedsBoot, p.Reversible = false, false
	flags := map[string]string{"pending": "-p", "rollback": "-r", "base": "-b", "cache": "-m"}
	parts := r.Parts
	if len(parts) == 0 {
		parts = []string{"base", "cache"}
	}
	if b.nothingIn(s, parts) {
		p.Unchanged = "there is no system to delete: none waits, or the way back is pinned"
		return nil
	}
	args := []string{"cleanup"}
	for _, part := range parts {
		args = append(args, flags[part])
	}
	b.step(p, "delete: "+strings.Join(parts, ", "), args...)
	return nil
}
