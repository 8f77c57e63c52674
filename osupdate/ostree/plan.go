package ostree

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Plan maps every verb to `ostree admin`.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	p := &osupdate.Plan{NeedsRoot: b.booted, NeedsBoot: true, Reversible: true}
	var err error
	switch r.Verb {
	case osupdate.Upgrade:
		err = b.upgrade(ctx, s, r, p)
	case osupdate.Rollback:
		err = b.rollback(ctx, s, r, p)
	case osupdate.Pin, osupdate.Unpin:
		err = ostreefamily.Pin(s, r, p, b.admin("pin"))
	case osupdate.Switch:
		err = b.switchTo(ctx, s, r, p)
	case osupdate.Kargs:
		err = b.kargs(s, r, p)
	case osupdate.Cancel:
		p.Reversible, p.NeedsBoot = false, false
		err = b.withdraw(ctx, s, p)
	case osupdate.Cleanup:
		p.NeedsBoot, p.Reversible = false, false
		err = b.cleanup(ctx, s, r, p)
	case osupdate.Overlay:
		if !b.booted {
			return nil, osupdate.Unsupported(osupdate.OSTree, r.Verb, "this sysroot is not the running system")
		}
		p.NeedsBoot = false
		if cur := s.Current(); cur != nil && cur.Unlocked != "" {
			p.Unchanged = "/usr is writable already (" + cur.Unlocked + ")"
			break
		}
		b.step(p, "make /usr writable until the next boot", "unlock")
	default:
		return nil, osupdate.Unsupported(osupdate.OSTree, r.Verb, b.Capabilities().Lacks[osupdate.Capability(r.Verb)])
	}
	if err != nil {
		return nil, err
	}
	return p.Finish(osupdate.OSTree, r), nil
}

func (b *Backend) step(p *osupdate.Plan, effect, verb string, args ...string) *osupdate.Step {
	p.Steps = append(p.Steps, osupdate.Step{Argv: b.admin(verb, args...), Effect: effect, Read: osupdate.Percent("pull")})
	return &p.Steps[len(p.Steps)-1]
}

// osArg is how the stateroot is named; a booted host knows its own.
func (b *Backend) osArg(s *osupdate.State) ([]string, error) {
	root, err := b.stateroot(s)
	return []string{"--os=" + root}, err
}

func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if _, _, _, err := b.tracked(s); err != nil {
		return err
	}
	args, err := b.osArg(s)
	if err != nil {
		return err
	}
	p.Network = true
	effect := "fetch the newest commit of " + s.Tracked + " and make it boot next"
	if r.From != "" {
		if args, err = b.pullFrom(s, r, p, args); err != nil {
			return err
		}
		effect = "make that commit boot next"
	}
	if r.Target != "" {
		commit, err := b.commitOf(ctx, s, r.Target)
		if err != nil {
			return err
		}
		if n := s.Next(); n != nil && n.Checksum == commit {
			p.Unchanged = n.Name() + " boots next already"
			return nil
		}
		args = append(args, "--override-commit="+commit)
		effect = "fetch version " + r.Target + " of " + s.Tracked + " and make it boot next"
	}
	if err := b.leaves(ctx, s, r); err != nil {
		return err
	}
	if r.AllowDowngrade {
		args = append(args, "--allow-downgrade")
	}
	switch {
	case r.DownloadOnly:
		p.NeedsBoot = false
		args, effect = append(args, "--pull-only"), "fetch the newest commit of "+s.Tracked+"; what boots next stays"
	case b.booted:
		if err := losesKargs(s); err != nil {
			return err
		}
		if err := losesDownload(s); err != nil {
			return err
		}
		if err := losesSwitch(s); err != nil {
			return err
		}
		args = append(args, "--stage")
	}
	st := b.step(p, effect, "upgrade", args...)
	st.Idle = nothingNew
	if r.DownloadOnly {
		st.Enough = b.hereAlready(ctx, s.Tracked)
	}
	return nil
}

// hereAlready says so where the newest commit of refspec was here before a download.
func (b *Backend) hereAlready(ctx context.Context, refspec string) func(context.Context) (string, error) {
	was, err := b.run(ctx, b.ostree, "--repo="+b.repo(), "rev-parse", refspec)
	return func(ctx context.Context) (string, error) {
		is, isErr := b.run(ctx, b.ostree, "--repo="+b.repo(), "rev-parse", refspec)
		if err != nil || isErr != nil || was != is { // a ref that was never pulled is not there
			return "", nil
		}
		return "the newest commit of " + refspec + " is here already", nil
	}
}

// losesSwitch refuses an upgrade that would replace what a switch has staged: ostree
// upgrades what the running system follows.
func losesSwitch(s *osupdate.State) error {
	cur, next := s.Booted(), s.Next()
	if cur == nil || next == nil || !next.Staged || next.Tracks == cur.Tracks {
		return nil
	}
	return fail.New(osupdate.ErrUnsafe, "%s, which is staged, follows %s, and ostree would replace it by the newest of %s",
		s.Label(next), next.Tracks, cur.Tracks).
		Hint("reboot into it first: tbx host reboot").Hint("or drop it: tbx host cancel")
}

// pullFrom adds the step that pulls what the host follows from a repository in a
// directory, with the keys of the remote itself, and returns the arguments of an upgrade
// that deploys what is here then: ostree-pull(1), --url.
func (b *Backend) pullFrom(s *osupdate.State, r osupdate.Request, p *osupdate.Plan, args []string) ([]string, error) {
	_, remote, ref, err := b.tracked(s)
	if err != nil {
		return nil, err
	}
	if remote == "" {
		return nil, fail.New(osupdate.ErrUnsupported, "upgrade: the host follows the local ref %s, which has no remote to stand in for", ref).
			Hint("pull into that ref: ostree pull-local %s %s", r.From, ref)
	}
	if _, err := os.Stat(filepath.Join(r.From, "objects")); err != nil {
		return nil, fail.New(osupdate.ErrNotFound, "upgrade: %s is no OSTree repository", r.From).
			Hint("name the directory that has config, objects and refs in it")
	}
	p.Steps = append(p.Steps, osupdate.Step{
		Argv:   []string{b.ostree, "--repo=" + b.repo(), "pull", "--url=file://" + r.From, remote, ref},
		Effect: "take the newest commit of " + s.Tracked + " from " + r.From, Read: osupdate.Percent("pull"),
	})
	return append(args, "--deploy-only"), nil
}

// nothingNew reads the words of `ostree admin upgrade`; older ones say nothing
// when the newest commit is there.
func nothingNew(stdout, _ string, _ int) bool { return strings.Contains(stdout, "No update available") }

// rollback uses set-default where ostree has it (2023.6). Older ones deploy the
// commit again with its own origin: without --origin-file ostree would follow the
// bare checksum and never see an update again.
func (b *Backend) rollback(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	return ostreefamily.Rollback(s, r, p, func(d *osupdate.Deployment) error { return b.makeNext(ctx, s, d, p) })
}

// makeNext has d boot next, and loses no other system but a staged one.
func (b *Backend) makeNext(ctx context.Context, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) error {
	index := d.Index
	for i := range s.Deployments {
		if staged := &s.Deployments[i]; staged.Staged {
			b.step(p, "drop the staged "+s.Label(staged), "undeploy", strconv.Itoa(staged.Index))
			if index > staged.Index {
				index--
			}
		}
	}
	if index == 0 {
		return nil // the default one, once nothing is staged
	}
	help, err := b.run(ctx, b.ostree, "admin", "--help")
	if err != nil {
		return err
	}
	if strings.Contains(help, "set-default") {
		b.step(p, "make "+s.Label(d)+" boot next, with its own /etc", "set-default", strconv.Itoa(index))
		return nil
	}
	origin, err := b.originFor(d)
	if err != nil {
		return err
	}
	args := []string{"--os=" + d.Stateroot, "--retain", "--origin-file=" + osupdate.OriginFile}
	for _, k := range d.Kargs {
		if len(args) == 3 {
			args = append(args, "--karg-none")
		}
		args = append(args, "--karg-append="+k)
	}
	b.step(p, "deploy "+s.Label(d)+" again and make it boot next, with today's /etc merged into it", "deploy",
		append(args, d.Checksum)...).Origin = origin
	return nil
}

func (b *Backend) switchTo(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	var remotes []string
	for name := range ostreefamily.Remotes(b.sysroot, b.sysroot) {
		remotes = append(remotes, name)
	}
	to, err := osupdate.ParseSource(s.Tracked).To(r.Target, remotes)
	if err != nil || to.Class != osupdate.SourceRef {
		return fail.New(fail.Usage, "switch: %q is no ref, and plain ostree follows refs only", r.Target).
			Hint("name one: tbx host switch REMOTE:REF")
	}
	ref := to.Text
	if n := s.Head(); n != nil && n.Tracks == ref {
		p.Unchanged = "the host follows " + ref + " already"
		return nil
	}
	if err := b.remoteExists(ctx, ref); err != nil {
		return err
	}
	if err := losesDownload(s); err != nil {
		return err
	}
	args, err := b.osArg(s)
	if err != nil {
		return err
	}
	p.Network = true
	b.step(p, "follow "+ref+" from now on, fetch it and make it boot next", "switch", append(args, ref)...)
	return nil
}

// losesDownload refuses a change that would drop a system which another program has
// downloaded and locked.
func losesDownload(s *osupdate.State) error {
	d := s.Downloaded()
	if d == nil {
		return nil
	}
	return fail.New(osupdate.ErrUnsafe, "%s is downloaded and locked, and would be lost", s.Label(d)).
		Hint("whoever locked it applies it; to drop it first: tbx host cancel")
}

// kargs deploys what boots next once more with other arguments; edit-in-place
// would change every deployment, the way back included. On a booted host ostree
// would begin with the arguments that run, not with those that wait for the next
// boot: it is given them all.
func (b *Backend) kargs(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	next := s.Head()
	if next == nil {
		return fail.New(osupdate.ErrNotFound, "%s has no deployment", b.sysroot).Hint("deploy one first: ostree admin deploy")
	}
	if err := losesDownload(s); err != nil {
		return err
	}
	args := []string{"--os=" + next.Stateroot}
	retain, now := "--retain", next.Kargs
	if cur := s.Booted(); cur != nil {
		retain = "--retain-rollback" // what waits is replaced
		if s.Boot.State == osupdate.BootRollback || s.Boot.State == osupdate.BootOther {
			retain = "--retain" // ... unless it ran before
		}
		if next.Staged && now == nil {
			now = cur.Kargs // it has no entry yet; ostree gives it the running ones
		}
	}
	if now == nil {
		return fail.New(osupdate.ErrUnsupported, "the kernel arguments of %s cannot be read from %s", next.Name(),
			filepath.Join(b.sysroot, "boot/loader/entries")).
			Hint("see who may read that directory")
	}
	want := r.KargsAfter(now)
	if slices.Equal(now, want) {
		p.Unchanged = "the kernel arguments are as asked for already"
		return nil
	}
	args = append(args, retain, "--origin-file="+osupdate.OriginFile, "--karg-none")
	for _, k := range want {
		args = append(args, "--karg-append="+k)
	}
	origin, err := b.originFor(next)
	if err != nil {
		return err
	}
	b.step(p, "boot "+next.Name()+" with the kernel arguments changed", "deploy", append(args, next.Checksum)...).Origin = origin
	return nil
}

// losesKargs refuses what would give the next system the arguments that run,
// where others wait for the next boot.
func losesKargs(s *osupdate.State) error {
	cur, next := s.Booted(), s.Next()
	if cur == nil || next == nil || next == cur || next.Kargs == nil || cur.Kargs == nil || slices.Equal(cur.Kargs, next.Kargs) {
		return nil
	}
	return fail.New(osupdate.ErrUnsafe,
		"%s, which boots next, has other kernel arguments than the running system, and ostree would give the update the running ones",
		next.Name()).
		Hint("reboot first: tbx host reboot").Hint("or drop what waits for the next boot: tbx host cancel")
}

// withdraw takes back what waits before the running system. What is staged is
// dropped; what a rollback or the boot menu left there was booted before and stays:
// the running system becomes the default again. A system that was made in this boot
// and never ran is deleted.
func (b *Backend) withdraw(ctx context.Context, s *osupdate.State, p *osupdate.Plan) error {
	if s.Busy != nil {
		return fail.New(osupdate.ErrUnsupported, "ostree cannot stop the work of another process: %s", s.Busy.What).
			Hint("press Ctrl-C where it runs; nothing is lost")
	}
	booted := s.Booted()
	if booted == nil || booted.Next && s.Downloaded() == nil {
		p.Unchanged = "nothing waits for the next boot"
		return nil
	}
	behind := ostreefamily.Behind(s)
	staged := s.Next() != nil && s.Next().Staged
	if len(behind) == 0 || staged || booted.Next || s.Boot.State == osupdate.BootRollback || s.Boot.State == osupdate.BootOther {
		return b.makeNext(ctx, s, booted, p)
	}
	for i := 0; i < booted.Index; i++ {
		d := &s.Deployments[i]
		if d.Pinned {
			return fail.New(osupdate.ErrUnsafe, "%s is pinned and would be deleted", d.Name()).Hint("unpin it first: tbx host unpin %d", i)
		}
		if d.Stateroot != booted.Stateroot {
			return b.makeNext(ctx, s, booted, p)
		}
		b.step(p, "delete "+s.Label(d)+", which would have booted next", "undeploy", "0")
	}
	return nil
}

func (b *Backend) cleanup(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if slices.Contains(r.Parts, "pending") {
		if err := b.withdraw(ctx, s, p); err != nil {
			return err
		}
		p.Unchanged = ""
	}
	if slices.Contains(r.Parts, "rollback") {
		if d, err := s.Back(""); err == nil && !d.Pinned && !d.Next && !d.Booted {
			b.step(p, "delete "+s.Label(d)+", the way back", "undeploy", strconv.Itoa(d.Index-len(p.Steps)))
		}
	}
	b.step(p, "delete what no deployment uses", "cleanup")
	return nil
}
