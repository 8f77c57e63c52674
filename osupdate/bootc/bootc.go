// Package bootc drives bootc, on its ostree storage and on composefs. bootc has
// no way for ordinary users: reads fall back to ostree where the storage is
// ostree's, the rest goes through tbx's root helper. Hosts with layered packages
// are rpm-ostree's; bootc refuses them. Facts: the research page's §1.3.
package bootc

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Options say what the host is like.
type Options struct {
	Root      bool   // we are root
	System    string // root directory of the running system
	Composefs bool   // bootc's own storage
	Registry  osupdate.Newer
	OSTree    osupdate.Backend // reads the host without root; nil where there is none
}

// Backend is bootc.
type Backend struct {
	tools *osupdate.Tools
	bootc string
	opt   Options
}

var (
	_ osupdate.Backend   = (*Backend)(nil)
	_ osupdate.EtcDiffer = (*Backend)(nil)
)

// New returns the backend.
func New(tools *osupdate.Tools, opt Options) (*Backend, error) {
	path, err := tools.Path("bootc")
	if err != nil {
		return nil, err
	}
	return &Backend{tools: tools, bootc: path, opt: opt}, nil
}

// Kind is osupdate.Bootc.
func (b *Backend) Kind() osupdate.Kind { return osupdate.Bootc }

// Capabilities depend on the storage, and on which of ostree and rpm-ostree is
// beside bootc.
func (b *Backend) Capabilities() osupdate.Capabilities {
	layer := "bootc has no package layer; install it in a toolbox, or add it to your image: tbx host build"
	c := osupdate.Capabilities{
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanDownload, osupdate.CanStage, osupdate.CanEtcDiff, "upgrade", "rollback", "switch", "overlay"},
		Lacks: map[osupdate.Capability]string{
			"install": layer, "uninstall": layer, "override-replace": layer, "override-remove": layer, "override-reset": layer,
			"initramfs": "the initramfs comes with the image", "apply-live": "reboot instead: tbx host reboot",
			"cleanup":           "bootc cleans up by itself; drop a staged update with: tbx host cancel",
			osupdate.CanVersion: "an exact version is an image of its own: tbx host switch IMAGE@sha256:…",
			osupdate.CanDiff:    "images are compared by their layers only; see the image's own change log",
		},
	}
	give := func(can bool, why string, names ...osupdate.Capability) {
		for _, n := range names {
			if can {
				c.Has = append(c.Has, n)
			} else {
				c.Lacks[n] = why
			}
		}
	}
	ostree := b.has("ostree") && !b.opt.Composefs
	rpm := b.has("rpm-ostree") && !b.opt.Composefs
	give(ostree, "this storage has no pinning", "pin", "unpin")
	give(ostree || rpm, "bootc cannot withdraw a staged update; roll back after the next boot", "cancel")
	give(!b.opt.Composefs, "on this storage kernel arguments belong into the image: /usr/lib/bootc/kargs.d", "kargs")
	give(b.opt.OSTree != nil || b.opt.Root, "bootc shows its state to root only", osupdate.CanStatusAsUser, osupdate.CanCheckAsUser)
	return c
}

func (b *Backend) has(tool string) bool {
	_, err := b.tools.Path(tool)
	return err == nil
}

// State asks bootc as root, and ostree as anybody else.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	if !b.opt.Root && b.opt.OSTree != nil {
		return b.userState(ctx)
	}
	a, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	return a.state, nil
}

func (b *Backend) status(ctx context.Context) (*answer, error) {
	argv := []string{b.bootc, "status", "--format=json", "--format-version=1"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	a, err := parse(out)
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	if a.incompatible {
		return nil, fail.New(osupdate.ErrLocalMods, "bootc does not handle this host: rpm-ostree changed it").
			Hint("undo the changes to come back to bootc: rpm-ostree reset")
	}
	return a, nil
}

// userState reads what ostree shows to everybody: origins, and the digest of the
// manifest in the commit's metadata.
func (b *Backend) userState(ctx context.Context) (*osupdate.State, error) {
	s, err := b.opt.OSTree.State(ctx)
	if err != nil {
		return nil, err
	}
	ostree, err := b.tools.Path("ostree")
	if err != nil {
		return nil, err
	}
	s.Backend = osupdate.Bootc
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Image = osupdate.ParseImage(d.Tracks); d.Image == nil {
			continue
		}
		d.Tracks = d.Image.Reference
		out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{ostree, "show", "--print-metadata-key=ostree.manifest-digest", d.Checksum}})
		if err == nil {
			d.Image.Digest = strings.Trim(strings.TrimSpace(string(out)), "'")
		}
	}
	s.Tracked = ""
	return s.Arrange(), nil
}

// Check compares digests with the registry; root, whose credentials bootc knows,
// lets bootc look.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	cur := s.Current()
	if cur == nil || cur.Image == nil {
		return nil, fail.New(osupdate.ErrUnsupported, "the running system does not come from an image").Hint("choose one: tbx host switch IMAGE")
	}
	var u *osupdate.Update
	if b.opt.Root {
		argv := []string{b.bootc, "upgrade", "--check"}
		if _, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv}); err != nil {
			return nil, err
		}
		a, err := b.status(ctx)
		if err != nil {
			return nil, err
		}
		u = a.cached
	} else {
		digest, err := b.opt.Registry(ctx, cur.Image.Reference, cur.Image.Digest)
		if err != nil {
			return nil, err
		}
		if digest != "" {
			u = &osupdate.Update{Checksum: digest, Source: "the registry"}
		}
	}
	if next := s.Next(); u != nil && next.Image != nil && next.Image.Digest == u.Checksum && !next.Locked {
		return nil, nil
	}
	return u, nil
}

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
		err = b.rollback(s, r, p)
	case osupdate.Switch:
		b.switchTo(s, r, p)
	case osupdate.Pin, osupdate.Unpin:
		var admin []string
		if admin, err = ostreefamily.Admin(b.tools, "pin"); err == nil {
			err = ostreefamily.Pin(s, r, p, admin)
		}
	case osupdate.Kargs:
		err = b.kargs(ctx, r, p)
	case osupdate.Cancel:
		err = b.cancel(s, p)
	case osupdate.Overlay:
		p.NeedsBoot = false
		b.step(p, "make /usr writable until the next boot", b.bootc, "usr-overlay")
	}
	if err != nil {
		return nil, err
	}
	return p.Finish(osupdate.Bootc, r), nil
}

func (b *Backend) step(p *osupdate.Plan, effect string, argv ...string) *osupdate.Step {
	p.Steps = append(p.Steps, osupdate.Step{Argv: argv, Effect: effect})
	return &p.Steps[len(p.Steps)-1]
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

func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if r.Target != "" {
		return osupdate.Unsupported(osupdate.Bootc, r.Verb, b.Capabilities().Lacks[osupdate.CanVersion])
	}
	p.Network = true
	args, effect := []string{b.bootc, "upgrade"}, "fetch the newest "+s.Tracked+" and boot it next"
	next := s.Next()
	downloads, err := b.atLeast(ctx, 1, 12)
	if err != nil {
		return err
	}
	switch {
	case r.DownloadOnly && !downloads:
		return osupdate.Unsupported(osupdate.Bootc, r.Verb, "this bootc cannot download without applying; 1.12 and newer can")
	case r.DownloadOnly:
		args, effect, p.NeedsBoot = append(args, "--download-only"), "fetch the newest "+s.Tracked+"; it is not applied", false
	case next != nil && next.Locked:
		args, effect = append(args, "--from-downloaded"), "boot "+next.Name()+" next, which is downloaded"
	}
	st := b.step(p, effect, args...)
	progress, err := b.atLeast(ctx, 1, 2)
	if progress {
		st.Argv, st.ProgressFD, st.Read = append(st.Argv, "--progress-fd="+osupdate.ProgressFile), true, readProgress
	}
	return err
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
func (b *Backend) rollback(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	d, err := s.Back(r.Target)
	if err != nil {
		return err
	}
	next, cur := s.Next(), s.Current()
	queued := next != cur && !next.Staged
	switch {
	case d.Next:
		p.Unchanged = d.Name() + " boots next already"
	case queued && d == cur:
		b.step(p, "take the queued rollback back: "+d.Name()+" boots next", b.bootc, "rollback")
	case !queued && d.Rollback && next.Staged:
		b.step(p, "boot "+d.Name()+" next, and drop the staged "+next.Name(), b.bootc, "rollback")
	case !queued && d.Rollback:
		b.step(p, "boot "+d.Name()+" next", b.bootc, "rollback")
	default:
		return osupdate.Unsupported(osupdate.Bootc, r.Verb, "only the previous system can be gone back to; another image is taken with: tbx host switch IMAGE")
	}
	return nil
}

func (b *Backend) switchTo(s *osupdate.State, r osupdate.Request, p *osupdate.Plan) {
	args, local := []string{b.bootc, "switch"}, strings.HasPrefix(r.Target, "localhost/")
	if local {
		args = append(args, "--transport", "containers-storage")
	}
	if n := s.Next(); n != nil && n.Image != nil {
		if n.Image.Reference == r.Target && !local {
			p.Unchanged = "the host follows " + r.Target + " already"
			return
		}
		if n.Image.Signature == "policy" && !local {
			args = append(args, "--enforce-container-sigpolicy") // a switch never weakens it
		}
	}
	p.Network = !local
	b.step(p, "follow "+r.Target+" from now on, fetch it and boot it next", append(args, r.Target)...)
}

func (b *Backend) cancel(s *osupdate.State, p *osupdate.Plan) error {
	p.Reversible = false
	next := s.Next()
	if next == nil || !next.Staged {
		p.Unchanged = "nothing is staged for the next boot"
		return nil
	}
	effect := "drop the staged " + next.Name()
	if rpm, err := b.tools.Path("rpm-ostree"); err == nil {
		b.step(p, effect, rpm, "cleanup", "-p")
		return nil
	}
	ostree, err := b.tools.Path("ostree")
	b.step(p, effect, ostree, "admin", "undeploy", "0")
	return err
}

// EtcDiff asks ostree, or bootc on its own storage.
func (b *Backend) EtcDiff(ctx context.Context, s *osupdate.State) ([]string, error) {
	if !b.opt.Composefs && b.has("ostree") {
		return ostreefamily.EtcDiff(ctx, b.tools)
	}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{b.bootc, "config-diff"}})
	if err != nil {
		return nil, err
	}
	return ostreefamily.ParseEtcDiff(string(out)), nil
}

// Explain knows bootc's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Bootc, slices.Clip(rules()), te)
}

func rules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`contains local rpm-ostree modifications`, osupdate.ErrLocalMods,
			"rpm-ostree changed this host, and bootc refuses it", "undo the changes to come back to bootc: rpm-ostree reset"),
		osupdate.NewRule(`requires ostree >= (\d+\.\d+)`, osupdate.ErrUnsupported,
			"bootc needs ostree %s or newer for that", "in an image of your own kernel arguments are in /usr/lib/bootc/kargs.d: tbx host export-containerfile"),
		osupdate.NewRule(`No rollback available|Rollback is not container image based`, osupdate.ErrNoRollback,
			"there is no other image to go back to", "take an older image: tbx host switch IMAGE@sha256:…"),
		osupdate.NewRule(`(?i)manifest unknown|name unknown|repository .* not found`, osupdate.ErrNotFound,
			"the registry does not have that image", "check its name and tag"),
		osupdate.NewRule(`(?i)unauthorized|denied: requested access`, osupdate.ErrPermission,
			"the registry wants credentials", "put them into /etc/ostree/auth.json; those of your home are not used"),
		osupdate.NewRule(`(?i)this command requires running in an active host|container.*not supported|status: null`, osupdate.ErrNotImage,
			"bootc says that this is no bootc host", "see what tbx found: tbx host status --verbose"),
	}
}
