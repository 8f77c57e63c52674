// Package rpmostree drives rpm-ostree through its program, which talks to its
// daemon; the daemon asks polkit, so that nothing here needs root but pinning.
// Facts: rpm-ostree(1), and the research page's §1.2.
package rpmostree

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Backend is rpm-ostree.
type Backend struct {
	tools     *osupdate.Tools
	rpmostree string
	registry  osupdate.Newer
	// newest asks the OSTree remote for the commit that ref names now.
	newest func(ctx context.Context, ref string) (string, error)
}

var (
	_ osupdate.Backend   = (*Backend)(nil)
	_ osupdate.Differ    = (*Backend)(nil)
	_ osupdate.EtcDiffer = (*Backend)(nil)
)

// New returns the backend. newest may be nil: then checks of a host that follows
// an OSTree ref believe `rpm-ostree upgrade --check`, which is known to err.
func New(tools *osupdate.Tools, registry osupdate.Newer, newest func(ctx context.Context, ref string) (string, error)) (*Backend, error) {
	path, err := tools.Path("rpm-ostree")
	if err != nil {
		return nil, err
	}
	return &Backend{tools: tools, rpmostree: path, registry: registry, newest: newest}, nil
}

// Kind is osupdate.RPMOSTree.
func (b *Backend) Kind() osupdate.Kind { return osupdate.RPMOSTree }

// Capabilities: all verbs.
func (b *Backend) Capabilities() osupdate.Capabilities {
	return osupdate.Capabilities{Has: []osupdate.Capability{
		osupdate.CanCheck, osupdate.CanCheckAsUser, osupdate.CanStatusAsUser, osupdate.CanVersion, osupdate.CanDownload, osupdate.CanStage,
		osupdate.CanDiff, osupdate.CanEtcDiff, osupdate.CanPolkit, osupdate.CanDowngrade,
		"upgrade", "rollback", "pin", "unpin", "switch", "install", "uninstall", "override-replace", "override-remove", "override-reset",
		"kargs", "initramfs", "apply-live", "overlay", "cancel", "cleanup",
	}}
}

func (b *Backend) run(ctx context.Context, args ...string) (string, error) {
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: append([]string{b.rpmostree}, args...)})
	return string(out), err
}

func (b *Backend) status(ctx context.Context) (*osupdate.State, *cached, error) {
	out, err := b.run(ctx, "status", "--json")
	if err != nil {
		return nil, nil, err
	}
	s, c, err := parse([]byte(out))
	if err != nil {
		return nil, nil, osupdate.BadOutput([]string{b.rpmostree, "status", "--json"}, []byte(out), err)
	}
	return s, c, nil
}

// State works for every user, and while a transaction runs.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	s, _, err := b.status(ctx)
	return s, err
}

// Check asks the source itself: `rpm-ostree upgrade --check` calls itself
// unreliable, and asks for a password.
func (b *Backend) Check(ctx context.Context, _ *osupdate.State) (*osupdate.Update, error) {
	s, c, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	cur := s.Current()
	if cur == nil {
		return nil, fail.New(osupdate.ErrNotFound, "rpm-ostree shows no deployment").Hint("see tbx host doctor")
	}
	u := &osupdate.Update{}
	has := func(d *osupdate.Deployment) bool {
		if d.Image != nil {
			return d.Image.Digest == u.Checksum
		}
		return d.Checksum == u.Checksum || d.Base == u.Checksum
	}
	switch {
	case cur.Image != nil && cur.Image.Transport == "registry":
		u.Source = "the registry"
		u.Checksum, err = b.registry(ctx, cur.Image.Reference, cur.Image.Digest)
	case cur.Image == nil && b.newest != nil:
		u.Source = "the OSTree remote"
		u.Checksum, err = b.newest(ctx, cur.Tracks)
	default:
		return b.ownCheck(ctx)
	}
	if err != nil {
		return nil, err
	}
	if u.Checksum == "" || has(cur) || has(s.Next()) {
		return nil, nil
	}
	if c != nil && c.Checksum == u.Checksum {
		fill(u, c)
	}
	return u, nil
}

func (b *Backend) ownCheck(ctx context.Context) (*osupdate.Update, error) {
	argv := []string{b.rpmostree, "upgrade", "--check"}
	_, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	var te *osupdate.ToolError
	if errors.As(err, &te) && te.Code == ostreefamily.Unchanged {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u := &osupdate.Update{Source: "rpm-ostree upgrade --check"}
	if _, c, err := b.status(ctx); err == nil && c != nil {
		fill(u, c)
	}
	return u, nil
}

func fill(u *osupdate.Update, c *cached) {
	u.Version = c.Version
	if u.Checksum == "" {
		u.Checksum = c.Checksum
	}
	if c.Timestamp > 0 {
		t := time.Unix(c.Timestamp, 0).UTC()
		u.Time = &t
	}
	u.Severity, u.Advisories = c.severity()
	if c.Manifest != nil {
		u.Bytes = c.Manifest.Added
	}
}

// Plan maps the verbs to rpm-ostree's.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	p := &osupdate.Plan{NeedsBoot: true, Reversible: true}
	if s.Driver != nil && r.Verb == osupdate.Upgrade {
		return nil, fail.New(osupdate.ErrManaged, "updates of this host are driven by %s (%s)", s.Driver.Name, s.Driver.Unit).
			Hint("leave it to %s, or stop it first: systemctl stop %s", s.Driver.Name, s.Driver.Unit)
	}
	cur, next := s.Current(), s.Next()
	if cur == nil {
		return nil, fail.New(osupdate.ErrNotFound, "rpm-ostree shows no deployment").Hint("see tbx host doctor")
	}
	var err error
	switch r.Verb {
	case osupdate.Upgrade:
		b.upgrade(s, r, p)
	case osupdate.Rollback:
		err = b.rollback(s, r, p)
	case osupdate.Pin, osupdate.Unpin:
		err = b.pin(s, r, p)
	case osupdate.Switch:
		to := osupdate.SameScheme(cur.Tracks, r.Target)
		if next.Tracks == to {
			p.Unchanged = "the host follows " + to + " already"
			break
		}
		p.Network = true
		b.step(p, "follow "+to+" from now on, fetch it and boot it next", "rebase", to)
	case osupdate.Install, osupdate.Uninstall:
		b.packages(next, r, p)
	case osupdate.OverrideReplace:
		if r.From == "" {
			return nil, fail.New(fail.Usage, "override-replace: from which repository").Hint("name it: tbx host override replace --from updates PACKAGE…")
		}
		p.Network = true
		b.step(p, "replace "+strings.Join(r.Packages, ", ")+" of the base by those of "+r.From,
			append([]string{"override", "replace", "--experimental", "--from", "repo=" + r.From}, r.Packages...)...)
	case osupdate.OverrideRemove:
		left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool { return slices.Contains(next.Changes.Removed, n) })
		if len(left) == 0 {
			p.Unchanged = "the base lacks them already"
			break
		}
		b.step(p, "remove "+strings.Join(left, ", ")+" from the base", append([]string{"override", "remove"}, left...)...)
	case osupdate.OverrideReset:
		switch {
		case len(r.Packages) > 0:
			b.step(p, "take "+strings.Join(r.Packages, ", ")+" from the base again", append([]string{"override", "reset"}, r.Packages...)...)
		case len(next.Changes.Removed)+len(next.Changes.Replaced) == 0:
			p.Unchanged = "nothing of the base is overridden"
		default:
			b.step(p, "take every overridden package from the base again", "override", "reset", "--all")
		}
	case osupdate.Kargs:
		p.Steps = append(p.Steps, ostreefamily.KargsStep(b.rpmostree, r))
	case osupdate.Initramfs:
		b.initramfs(next, r, p)
	case osupdate.ApplyLive:
		p.NeedsBoot, p.Reversible = false, false
		if cur == next {
			p.Unchanged = "nothing waits for the next boot"
			break
		}
		b.step(p, "bring the packages that "+next.Name()+" adds into the running system now; what it replaces still needs a reboot", "apply-live")
	case osupdate.Overlay:
		p.NeedsBoot, p.NeedsRoot = false, true
		b.step(p, "make /usr writable until the next boot", "usroverlay")
	case osupdate.Cancel:
		p.Reversible = false
		if s.Busy != nil {
			p.NeedsBoot = false
			b.step(p, "stop "+s.Busy.What, "cancel")
			break
		}
		p.Unchanged = "nothing runs, and nothing waits for the next boot"
		if cur != next {
			p.Unchanged = ""
			b.step(p, "drop "+next.Name()+", which would have booted next", "cleanup", "-p")
		}
	case osupdate.Cleanup:
		b.cleanup(r, p)
	default:
		return nil, osupdate.Unsupported(osupdate.RPMOSTree, r.Verb, "")
	}
	if err != nil {
		return nil, err
	}
	return p.Finish(osupdate.RPMOSTree, r), nil
}

func (b *Backend) step(p *osupdate.Plan, effect string, args ...string) *osupdate.Step {
	p.Steps = append(p.Steps, osupdate.Step{Argv: append([]string{b.rpmostree}, args...), Effect: effect, Read: osupdate.Percent(args[0])})
	return &p.Steps[len(p.Steps)-1]
}

func (b *Backend) upgrade(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) {
	p.Network = true
	if r.Target == "" {
		args, effect := []string{"upgrade", "--unchanged-exit-77"}, "fetch the newest of "+s.Tracked+" and boot it next"
		if r.AllowDowngrade {
			args = append(args, "--allow-downgrade")
		}
		if r.DownloadOnly {
			args, effect, p.NeedsBoot = append(args, "--download-only"), "fetch the newest of "+s.Tracked+"; what boots next stays", false
		}
		b.step(p, effect, args...).OK = []int{ostreefamily.Unchanged}
		return
	}
	if n := s.Next(); n.Version == r.Target || n.Checksum == r.Target || n.Image != nil && n.Image.Digest == r.Target {
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

// rollback names its target, because `rpm-ostree rollback` alone is a toggle.
func (b *Backend) rollback(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	d, err := s.Back(r.Target)
	if err != nil {
		return err
	}
	cur, next := s.Current(), s.Next()
	switch {
	case d.Next:
		p.Unchanged = d.Name() + " boots next already"
	case cur == next && d.Rollback:
		b.step(p, "boot "+d.Name()+" next", "rollback")
	case cur != next && d == cur:
		b.step(p, "drop "+next.Name()+": the running system boots next", "cleanup", "-p")
	case cur != next && d.Rollback:
		b.step(p, "drop "+next.Name()+", which would have booted next", "cleanup", "-p")
		b.step(p, "boot "+d.Name()+" next", "rollback")
	default:
		return osupdate.Unsupported(osupdate.RPMOSTree, r.Verb, "only the previous system can be gone back to; take an older version with: tbx host upgrade --to VERSION --allow-downgrade")
	}
	return nil
}

func (b *Backend) pin(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	admin, err := ostreefamily.Admin(b.tools, "pin")
	if err != nil {
		return err
	}
	p.NeedsRoot = true
	return ostreefamily.Pin(s, r, p, admin)
}

func (b *Backend) packages(next *osupdate.Deployment, r osupdate.Request, p *osupdate.Plan) {
	c := next.Changes
	asked := slices.Concat(c.Layered, c.Inactive)
	install := r.Verb == osupdate.Install
	left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool { return slices.Contains(asked, n) == install })
	if len(left) == 0 {
		p.Unchanged = "the packages are as asked for already"
		return
	}
	p.Network = true
	if install {
		b.step(p, "layer "+strings.Join(left, ", ")+" on the base, now and at every upgrade",
			append([]string{"install", "--assumeyes", "--idempotent", "--allow-inactive"}, left...)...)
		return
	}
	b.step(p, "remove "+strings.Join(left, ", ")+" from the layers", append([]string{"uninstall", "--assumeyes"}, left...)...)
}

func (b *Backend) initramfs(next *osupdate.Deployment, r osupdate.Request, p *osupdate.Plan) {
	enable := r.Target == "enable"
	if next.Changes.Initramfs == enable && (len(r.Dracut) == 0 || slices.Equal(r.Dracut, next.Changes.Dracut)) {
		p.Unchanged = "the initramfs is as asked for already"
		return
	}
	args, effect := []string{"initramfs", "--disable"}, "use the initramfs of the base again"
	if enable {
		args, effect = []string{"initramfs", "--enable"}, "make the initramfs on this host, now and at every upgrade"
		for _, a := range r.Dracut {
			args = append(args, "--arg="+a)
		}
	}
	b.step(p, effect, args...)
}

func (b *Backend) cleanup(r osupdate.Request, p *osupdate.Plan) {
	p.NeedsBoot, p.Reversible = false, false
	flags := map[string]string{"pending": "-p", "rollback": "-r", "base": "-b", "cache": "-m"}
	parts := r.Parts
	if len(parts) == 0 {
		parts = []string{"base", "cache"}
	}
	args := []string{"cleanup"}
	for _, part := range parts {
		args = append(args, flags[part])
	}
	b.step(p, "delete: "+strings.Join(parts, ", "), args...)
}

// Diff compares the packages of two deployments.
func (b *Backend) Diff(ctx context.Context, from, to *osupdate.Deployment) (*osupdate.Diff, error) {
	out, err := b.run(ctx, "db", "diff", "--format=diff", from.Checksum, to.Checksum)
	if err != nil {
		return nil, err
	}
	d := parseDiff(out)
	d.From, d.To = from.Name(), to.Name()
	return d, nil
}

// parseDiff reads `rpm-ostree db diff --format=diff`: "+added", "-removed", and
// "!old" followed by "=new".
func parseDiff(text string) *osupdate.Diff {
	d, old := &osupdate.Diff{Packages: true}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if len(line) < 2 {
			continue
		}
		switch name := line[1:]; line[0] {
		case '+':
			d.Added = append(d.Added, name)
		case '-':
			d.Removed = append(d.Removed, name)
		case '!':
			old = name
		case '=':
			d.Changed = append(d.Changed, old+" -> "+name)
		}
	}
	return d
}

// EtcDiff asks ostree.
func (b *Backend) EtcDiff(ctx context.Context, s *osupdate.State) ([]string, error) {
	return ostreefamily.EtcDiff(ctx, b.tools)
}

// Explain knows rpm-ostree's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.RPMOSTree, rules(), te)
}

func rules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`(?:Transaction in progress|System transaction in progress|Transaction already in progress): ?(.*)`, osupdate.ErrBusy,
			"another transaction runs: %s", "try again when it is done, or stop it: tbx host cancel"),
		osupdate.NewRule(`System transaction in progress|Code26|Reboot initiated`, osupdate.ErrBusy,
			"another program works on this host", "try again when it is done"),
		osupdate.NewRule(`Updates and deployments are driven by (.*?)(?:\n|$)`, osupdate.ErrManaged,
			"updates of this host are driven by %s", "leave it to that agent, or stop its unit first"),
		osupdate.NewRule(`(?i)could not depsolve transaction|forbidden base package replacements|cannot install both`, osupdate.ErrConflict,
			"a layered package does not fit the new base", "see which with --verbose; install it in a toolbox instead and remove the layer: tbx host uninstall PACKAGE"),
		osupdate.NewRule(`(?i)packages not found: (.*)`, osupdate.ErrNotFound,
			"no repository has %s", "check the name: rpm-ostree search WORD"),
		osupdate.NewRule(`(?i)chronologically older|would be a downgrade|Downgrade is forbidden`, osupdate.ErrDowngrade,
			"that system is older than the running one", "take it anyway with --allow-downgrade"),
		osupdate.NewRule(`No rollback deployment found`, osupdate.ErrNoRollback,
			"there is no other system to go back to", "keep one by pinning before the next upgrade: tbx host pin booted"),
		osupdate.NewRule(`Staged deployment \(remove with`, osupdate.ErrNoRollback,
			"an update is staged and in the way", "drop it first: tbx host cancel"),
		osupdate.NewRule(`LockLayering|Layering is disabled`, osupdate.ErrManaged,
			"the administrator has locked layering (LockLayering in /etc/rpm-ostreed.conf)", "install it in a toolbox instead: tbx create"),
		osupdate.NewRule(`This system was not booted via libostree`, osupdate.ErrNotImage,
			"this system was not booted by OSTree", "see what tbx found: tbx host status --verbose"),
	}
}
