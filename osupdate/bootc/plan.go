package bootc

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Plan maps the verbs to bootc's, and to those of ostree and rpm-ostree that
// bootc leaves to them.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	if why, lacks := b.Capabilities().Lacks[osupdate.Capability(r.Verb)]; lacks {
		return nil, osupdate.Unsupported(osupdate.Bootc, r.Verb, why)
	}
	p := &osupdate.Plan{NeedsRoot: true, NeedsBoot: true, Reversible: true}
	var err error
	switch r.Verb {
	case osupdate.Upgrade:
		err = b.upgrade(ctx, s, r, p)
	case osupdate.Rollback:
		err = b.rollback(ctx, s, r, p)
	case osupdate.Switch:
		err = b.switchTo(s, r, p)
	case osupdate.Pin, osupdate.Unpin:
		var admin []string
		if admin, err = ostreefamily.Admin(b.tools, "pin"); err == nil {
			err = ostreefamily.Pin(s, r, p, admin)
		}
	case osupdate.Kargs:
		err = b.kargs(ctx, s, r, p)
	case osupdate.Cancel:
		p.NeedsBoot = false
		err = b.cancel(ctx, s, p)
	case osupdate.Overlay:
		p.NeedsBoot = false
		if cur := s.Current(); cur != nil && cur.Unlocked != "" {
			p.Unchanged = "/usr is writable already (" + cur.Unlocked + ")"
			break
		}
		b.step(p, "make /usr writable until the next boot", b.bootc, "usr-overlay")
	}
	if err != nil {
		return nil, err
	}
	return p.Finish(osupdate.Bootc, r), nil
}

var versionForm = pattern.Lazy(`bootc (\d+)\.(\d+)`)

// atLeast asks bootc for its version: options came with time.
func (b *Backend) atLeast(ctx context.Context, major, minor int) (bool, error) {
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{b.bootc, "--version"}})
	if err != nil {
		return false, err
	}
	m := versionForm().FindStringSubmatch(string(out))
	if m == nil {
		return false, nil
	}
	x, errX := strconv.Atoi(m[1])
	y, errY := strconv.Atoi(m[2])
	return errX == nil && errY == nil && (x > major || x == major && y >= minor), nil
}

// nothingNew are bootc's words for an upgrade that changed nothing. "No changes in X
// => DIGEST" is none of them: it is about what is fetched.
var nothingNew = pattern.Lazy(`(?m)^No update available|^Staged update present, not changed|^No changes in: `)

func idle(stdout, _ string, _ int) bool { return nothingNew().MatchString(stdout) }

// upgrade takes the newest, as bootc does, also where an older one is downloaded
// already; what is downloaded and still the newest is unlocked.
func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if err := b.Capabilities().Refuses(osupdate.Bootc, r); err != nil {
		return err
	}
	source := osupdate.ParseSource(s.Tracked)
	if source.Class == osupdate.SourcePinned || source.Class == osupdate.SourceOther || source.Class == osupdate.SourceNone {
		return source.NoNews(s.Custom)
	}
	p.Network = true
	args, effect := []string{b.bootc, "upgrade"}, "fetch the newest "+s.Tracked+" and boot it next"
	downloads, err := b.atLeast(ctx, 1, 12)
	if err != nil {
		return err
	}
	locked := s.Downloaded()
	if r.DownloadOnly {
		if !downloads {
			return osupdate.Unsupported(osupdate.Bootc, osupdate.Verb(osupdate.CanDownload), "bootc 1.12 and newer can")
		}
		if next := s.Next(); next != nil && next.Staged {
			return fail.New(osupdate.ErrUnsafe, "upgrade: %s is staged to boot next, and bootc would drop it for the download", s.Label(next)).
				Hint("to boot the newest next instead: tbx host upgrade").Hint("to drop what is staged first: tbx host cancel")
		}
		args, effect, p.NeedsBoot = append(args, "--download-only"), "fetch the newest "+s.Tracked+"; it is not applied", false
	}
	if err := b.upgradeStep(ctx, p, effect, args); err != nil || r.DownloadOnly {
		return err
	}
	if locked != nil && downloads {
		st := b.step(p, "unlock what is downloaded, unless a newer one is staged by now", b.bootc, "upgrade", "--from-downloaded")
		st.Skip = func(ctx context.Context) (bool, error) {
			a, err := b.status(ctx)
			return err == nil && a.state.Downloaded() == nil, err
		}
	}
	return nil
}

func (b *Backend) upgradeStep(ctx context.Context, p *osupdate.Plan, effect string, args []string) error {
	st := b.step(p, effect, args...)
	st.Idle = idle
	if b.opt.Composefs {
		st.Enough = b.newerIsTheOther
	}
	progress, err := b.atLeast(ctx, 1, 2)
	if progress {
		st.Argv, st.ProgressFD, st.Read = append(st.Argv, "--progress-fd="+osupdate.ProgressFile), true, readProgress
	}
	return err
}

// newerIsTheOther says so where bootc did nothing because the newest image is that of
// the other system: it takes what is here for no news.
func (b *Backend) newerIsTheOther(ctx context.Context) (string, error) {
	a, err := b.status(ctx)
	if err != nil {
		return "", err
	}
	s := a.state
	cur, next := s.Booted(), s.Next()
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if cur != nil && next == cur && s.Downloaded() == nil && d.Rollback && d.Time != nil && cur.Time != nil && d.Time.After(*cur.Time) {
			return "the newest image is that of system " + strconv.Itoa(d.Index) + ", which is here already; to boot it next: tbx host rollback", nil
		}
	}
	return "", nil
}

// enforced says whether the host has the signatures of registries checked: by what
// changes begin with or, where that came from a file, by any system that is kept.
func enforced(s *osupdate.State) bool {
	policy := func(d *osupdate.Deployment) bool { return d.Image != nil && d.Image.Signature == "policy" }
	head := s.Head()
	if head != nil && head.Image != nil && head.Image.Transport == "registry" {
		return policy(head)
	}
	return slices.ContainsFunc(s.Deployments, func(d osupdate.Deployment) bool { return policy(&d) })
}

// readProgress reads a line of --progress-fd, bootc's progress-v0.schema.json.
func readProgress(line string) (osupdate.Progress, bool) {
	var e struct {
		Type       string `json:"type"`
		Task       string `json:"task"`
		Bytes      int64  `json:"bytes"`
		BytesTotal int64  `json:"bytesTotal"`
		Steps      int64  `json:"steps"`
		StepsTotal int64  `json:"stepsTotal"`
	}
	if json.Unmarshal([]byte(line), &e) != nil || e.Task == "" {
		return osupdate.Progress{}, false
	}
	switch e.Type {
	case "ProgressBytes":
		return osupdate.Progress{Task: e.Task, Done: e.Bytes, Total: e.BytesTotal, Bytes: true}, true
	case "ProgressSteps":
		return osupdate.Progress{Task: e.Task, Done: e.Steps, Total: e.StepsTotal}, true
	}
	return osupdate.Progress{}, false
}

// rollback: `bootc rollback` is a toggle, and it drops a staged update without a word.
func (b *Backend) rollback(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	return ostreefamily.Rollback(s, r, p, func(d *osupdate.Deployment) error { return b.makeNext(ctx, s, d, p) })
}

// makeNext has d boot next.
func (b *Backend) makeNext(ctx context.Context, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) error {
	cur := s.Current()
	behind := ostreefamily.Behind(s)
	staged := slices.IndexFunc(s.Deployments, func(d osupdate.Deployment) bool { return d.Staged })
	drops := ""
	if staged >= 0 {
		drops = ", and drop the staged " + s.Label(&s.Deployments[staged])
	}
	family := !b.opt.Composefs && b.has("ostree")
	switch {
	case d.Staged:
		return fail.New(osupdate.ErrUnsupported, "%s is downloaded and not applied", s.Label(d)).Hint("to have it applied: tbx host upgrade")
	case s.Boot.State == osupdate.BootUnknown:
		return fail.New(osupdate.ErrUnsupported, "it cannot be told what boots next, and bootc rollback is a toggle").
			Hint("choose the system in the boot menu, and keep it by an upgrade from there")
	case len(behind) > 0 && d == cur:
		b.step(p, "take the queued rollback back: "+s.Label(d)+" boots next"+drops, b.bootc, "rollback")
		return nil
	case len(behind) == 0 && d.Rollback:
		b.step(p, "boot "+s.Label(d)+" next"+drops, b.bootc, "rollback")
		return nil
	case d == cur && staged >= 0:
		return b.dropStaged(ctx, s, p)
	case family:
		can, err := ostreefamily.SetDefault(ctx, b.tools, s, d, p)
		if can || err != nil {
			return err
		}
		if len(behind) > 0 && d == behind[0] && staged >= 0 {
			return b.dropStaged(ctx, s, p)
		}
	}
	return osupdate.Unsupported(osupdate.Bootc, osupdate.Rollback,
		"bootc goes to the previous system only, and this ostree has no admin set-default, which 2023.6 and newer have; another image is "+
			"taken with: tbx host switch IMAGE")
}

// switchTo writes bootc's own form of an image: a transport, a name, and whether its
// signature is enforced.
func (b *Backend) switchTo(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	to := osupdate.ParseSource(r.Target)
	if to.Transport == "" || to.Class == osupdate.SourceOther {
		return fail.New(fail.Usage, "switch: %q is no image, and bootc follows images only", r.Target).
			Hint("name one with its registry: tbx host switch REGISTRY/NAME:TAG")
	}
	name := to.Name
	if to.Digest != "" {
		name += "@" + to.Digest
	}
	args, transport := []string{b.bootc, "switch"}, to.Transport
	if to.Class == osupdate.SourceLocal && transport == "registry" {
		transport = "containers-storage"
	}
	if transport != "registry" {
		args = append(args, "--transport", transport)
	}
	now := osupdate.ParseSource(s.Tracked)
	if now.Name == to.Name && now.Digest == to.Digest && now.Transport == transport && to.Class != osupdate.SourceLocal {
		p.Unchanged = "the host follows " + r.Target + " already"
		return nil
	}
	if transport == "registry" && (enforced(s) || to.Scheme == "ostree-image-signed") {
		args = append(args, "--enforce-container-sigpolicy") // a switch never weakens it
	}
	if d := s.Downloaded(); d != nil {
		p.Warnings = append(p.Warnings, s.Label(d)+", which is downloaded and not applied, is dropped")
	}
	p.Network = transport == "registry"
	b.step(p, "follow "+r.Target+" from now on, fetch it and boot it next", append(args, name)...).Idle = idle
	return nil
}

// cancel drops what is staged, and takes a queued rollback back.
func (b *Backend) cancel(ctx context.Context, s *osupdate.State, p *osupdate.Plan) error {
	p.Reversible = false
	next, cur := s.Next(), s.Current()
	switch {
	case (s.Downloaded() != nil || next != nil && next.Staged) && len(ostreefamily.Behind(s)) == 0:
		return b.dropStaged(ctx, s, p)
	case next != nil && next != cur && s.Boot.State != osupdate.BootUnknown:
		p.Reversible = !next.Staged
		return b.makeNext(ctx, s, cur, p)
	}
	p.Unchanged = "nothing waits for the next boot"
	return nil
}

// dropStaged drops the staged system and nothing else.
func (b *Backend) dropStaged(ctx context.Context, s *osupdate.State, p *osupdate.Plan) error {
	staged := s.Next()
	if d := s.Downloaded(); d != nil {
		staged = d
	}
	effect := "drop the staged " + s.Label(staged)
	if b.opt.Composefs {
		argv := []string{b.bootc, "delete-deployment"}
		if _, _, err := b.tools.Run(ctx, osupdate.Call{Argv: append(slices.Clone(argv), "--help")}); err != nil {
			return osupdate.Unsupported(osupdate.Bootc, osupdate.Cancel,
				"this bootc has no command for it; after the next boot go back: tbx host rollback")
		}
		b.step(p, effect, append(argv, staged.Checksum)...)
		return nil
	}
	if rpm, err := b.tools.Path("rpm-ostree"); err == nil && len(ostreefamily.Behind(s)) == 0 {
		b.step(p, effect, rpm, "cleanup", "-p")
		return nil
	}
	argv, err := ostreefamily.Admin(b.tools, "undeploy")
	b.step(p, effect, append(argv, strconv.Itoa(staged.Index))...)
	return err
}

// Explain knows bootc's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Bootc, slices.Clip(rules()), te)
}

// rules are the words of bootc 1.16.9, recorded, and of its sources.
func rules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`contains local rpm-ostree modifications`, osupdate.ErrLocalMods,
			"rpm-ostree changed this host, and bootc refuses it", "undo the changes to come back to bootc: rpm-ostree reset"),
		osupdate.NewRule(`Unmergable\S* File '([^']+)'`, osupdate.ErrEtcMerge,
			"the file %s in /etc was changed here and is something else in the update",
			"move your copy of it away, upgrade, and put your change back"),
		osupdate.NewRule(`Merge conflicts found in etc`, osupdate.ErrEtcMerge, "/etc cannot be merged",
			"see what was changed here: tbx host etc-diff"),
		osupdate.NewRule(`requires ostree >= (\d+\.\d+)`, osupdate.ErrUnsupported,
			"bootc needs ostree %s or newer for that",
			"in an image of your own kernel arguments are in /usr/lib/bootc/kargs.d: tbx host export-containerfile"),
		osupdate.NewRule(`No rollback available|Rollback is not container image based`, osupdate.ErrNoRollback,
			"there is no other image to go back to", "take an older image: tbx host switch IMAGE@sha256:…"),
		osupdate.NewRule(`No staged deployment found`, osupdate.ErrNotFound, "nothing is downloaded any more",
			"see tbx host status, and upgrade again"),
		osupdate.NewRule(`refusing usage|specifies a default of .insecureAcceptAnything`, osupdate.ErrSignature,
			"the policy for signatures accepts everything, and the switch is to enforce one",
			"name the keys in /etc/containers/policy.json: containers-policy.json(5)"),
		osupdate.NewRule(`(?i)manifest unknown|name unknown|repository .* not found|does not resolve to an image ID`, osupdate.ErrNotFound,
			"there is no such image", "check its name and tag"),
		osupdate.NoHostImage(),
		osupdate.NewRule(`(?i)must be executed as the root user`, osupdate.ErrPermission, "it needs root, even to look", "run it with sudo"),
		osupdate.NewRule(`System not booted via bootc|Detected container; this command requires a booted host system|`+
			`OSTree storage not initialized`, osupdate.ErrNotImage,
			"bootc says that this is no bootc host", "see what tbx found: tbx host status --verbose"),
	}
}
