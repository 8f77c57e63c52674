// Package transactional drives transactional-update (openSUSE MicroOS, Aeon):
// each change makes a btrfs snapshot, and the default one boots. Facts:
// transactional-update(8), and docs/design/updaters.md. A second call without
// --continue would silently discard what the first one did.
package transactional

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/osupdate"
)

// Backend is transactional-update.
type Backend struct {
	tools   *osupdate.Tools
	program string
	root    string
}

var (
	_ osupdate.Backend = (*Backend)(nil)
	_ osupdate.Limited = (*Backend)(nil)
)

// New returns the backend.
func New(tools *osupdate.Tools, root string) (*Backend, error) {
	path, err := tools.Path("transactional-update")
	if err != nil {
		return nil, err
	}
	return &Backend{tools, path, root}, nil
}

// Kind is osupdate.Transactional.
func (b *Backend) Kind() osupdate.Kind { return osupdate.Transactional }

// Capabilities of version 4 and newer.
func (b *Backend) Capabilities() osupdate.Capabilities {
	keep := "snapper decides which snapshots are kept; mark one with: snapper modify --cleanup-algorithm '' NUMBER"
	zypper := "choose versions with zypper inside a snapshot: transactional-update run zypper …"
	return osupdate.Capabilities{
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanCheckAsUser, osupdate.CanStatusAsUser, "upgrade", "rollback", "install",
			"uninstall", "apply-live", "cancel", "cleanup"},
		Lacks: map[osupdate.Capability]string{
			osupdate.CanOneTime: "add the medium as a repository: zypper addrepo DIRECTORY NAME",
			"pin":               keep, "unpin": keep, "switch": "the sources are zypper's repositories: zypper repos", "override-replace": zypper,
			"override-remove": zypper, "override-reset": zypper,
			"kargs":             "edit /etc/kernel/cmdline or /etc/default/grub, then: transactional-update grub.cfg",
			"initramfs":         "make it anew with: transactional-update initrd",
			"overlay":           "open a shell in a new snapshot instead: transactional-update shell",
			osupdate.CanDiff:    "compare snapshots with: snapper status A..B",
			osupdate.CanEtcDiff: "/etc is part of each snapshot: snapper status A..B", osupdate.CanVersion: zypper, osupdate.CanDownload: zypper,
		},
	}
}

const tracked = "zypper repositories"

// State asks tukit, which every user may. Its options come before the command, and
// without -q it prints more than the list.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	tukit, err := b.tools.Path("tukit")
	if err != nil {
		return nil, err
	}
	argv := []string{tukit, "-q", "-f", "number,default,active,date,description", "snapshots"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	s, err := parse(string(out), osupdate.BootTime(b.root))
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	s.Busy = cmp.Or(osupdate.PIDLock(filepath.Join(b.root, "var/run/transactional-update.pid")),
		osupdate.PIDLock(filepath.Join(b.root, "var/run/tukit.lock")))
	return s, nil
}

// Check lists what zypper would update, from the metadata that is there.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	zypper, err := b.tools.Path("zypper")
	if err != nil {
		return nil, err
	}
	argv := []string{zypper, "--non-interactive", "--xmlout", "list-updates"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	var doc struct {
		Updates []struct {
			Name string `xml:"name,attr"`
			New  string `xml:"edition,attr"`
			Old  string `xml:"edition-old,attr"`
		} `xml:"update-status>update-list>update"`
	}
	if err := xml.Unmarshal(out, &doc); err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	if len(doc.Updates) == 0 {
		return nil, nil
	}
	d := &osupdate.Diff{Packages: true, From: s.Current().Name(), To: "a new snapshot"}
	for _, u := range doc.Updates {
		d.Changed = append(d.Changed, fmt.Sprintf("%s %s -> %s", u.Name, u.Old, u.New))
	}
	return &osupdate.Update{Packages: d, Source: "zypper list-updates"}, nil
}

// Plan maps the verbs; what waits for the next boot is always continued.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	lacks := b.Capabilities().Lacks
	if why, no := lacks[osupdate.Capability(r.Verb)]; no {
		return nil, osupdate.Unsupported(osupdate.Transactional, r.Verb, why)
	}
	p := &osupdate.Plan{NeedsRoot: true, NeedsBoot: true, Reversible: true}
	waits := s.Waits() != nil
	change := func(effect string, args ...string) {
		argv := []string{b.program, "--non-interactive"}
		if waits {
			argv = append(argv, "--continue")
			effect += ", on top of " + s.Waits().ID + " which waits for the next boot"
		}
		p.Network = true
		p.Steps = append(p.Steps, osupdate.Step{Argv: append(argv, args...), Effect: effect})
	}
	switch r.Verb {
	case osupdate.Upgrade:
		if err := b.Capabilities().Refuses(osupdate.Transactional, r); err != nil {
			return nil, err
		}
		if r.AllowDowngrade {
			return nil, osupdate.Unsupported(osupdate.Transactional, osupdate.Verb(osupdate.CanDowngrade), lacks[osupdate.CanVersion])
		}
		change("update every package in a new snapshot that boots next", "dup")
	case osupdate.Install:
		change("install "+strings.Join(r.Packages, ", ")+" in a new snapshot that boots next",
			append([]string{"pkg", "install"}, r.Packages...)...)
	case osupdate.Uninstall:
		change("remove "+strings.Join(r.Packages, ", ")+" in a new snapshot that boots next", append([]string{"pkg", "remove"}, r.Packages...)...)
	case osupdate.Rollback:
		d, err := s.Back(r.Target)
		if err != nil {
			return nil, err
		}
		b.makeDefault(p, s, d)
	case osupdate.Cancel:
		p.NeedsBoot, p.Unchanged = false, "nothing waits for the next boot"
		if waits && !s.Next().Same(s.Booted()) {
			p.Unchanged = ""
			b.makeDefault(p, s, s.Booted())
		}
	case osupdate.ApplyLive:
		p.NeedsBoot, p.Reversible = false, false
		p.Unchanged = "nothing waits for the next boot"
		if waits {
			p.Unchanged = ""
			p.Steps = []osupdate.Step{{Argv: []string{b.program, "apply"},
				Effect: "mount /usr and /etc of " + s.Waits().ID + " over the running ones"}}
		}
	case osupdate.Cleanup:
		p.NeedsBoot, p.Reversible = false, false
		p.Steps = []osupdate.Step{{Argv: []string{b.program, "cleanup"}, Effect: "let snapper delete snapshots that are not needed"}}
	}
	return p.Finish(osupdate.Transactional, r), nil
}

// makeDefault has d boot next, or a copy of it: a rollback where the root is writable
// makes one, and the next one would make another.
func (b *Backend) makeDefault(p *osupdate.Plan, s *osupdate.State, d *osupdate.Deployment) {
	if next := s.Next(); next != nil && next.Same(d) {
		p.Unchanged = d.ID + " boots next already"
		return
	}
	p.Steps = append(p.Steps, osupdate.Step{Argv: []string{b.program, "rollback", d.Version},
		Effect: "boot " + d.ID + " next, or a copy of it where the root is writable"})
}

// NotChecked: zypper looks at the metadata that is there, and at the running system.
func (b *Backend) NotChecked(s *osupdate.State) []string {
	out := []string{"repositories since their metadata was refreshed (sudo zypper refresh)"}
	if next := s.Waits(); next != nil {
		out = append(out, "what "+next.ID+" has already, which waits for the next boot")
	}
	return out
}

// Explain knows the texts of transactional-update, tukit, snapper and zypper.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Transactional, []osupdate.Rule{
		osupdate.NewRule(`(?i)couldn't get lock|is another instance already running|tukit.*lock`, osupdate.ErrBusy, "another instance runs",
			"try again when it is done"),
		osupdate.NewRule(`(?i)nothing provides|conflicts with|Problem: `, osupdate.ErrConflict, "the packages do not fit together",
			"see which with --verbose; install it in a toolbox instead"),
		osupdate.NewRule(`(?i)No provider of '([^']+)' found|package '([^']+)' not found`, osupdate.ErrNotFound, "no repository has %s",
			"search for it: zypper search WORD"),
		osupdate.NewRule(`Snapshot '([^']+)' not found`, osupdate.ErrNotFound, "there is no snapshot %s", "see the snapshots: tbx host status"),
		osupdate.NewRule(`(?i)signature verification failed`, osupdate.ErrSignature, "a repository's signature is not trusted",
			"nothing was changed; ask its maker whether the key has changed"),
		osupdate.NewRule("`(snapper [^`]+)` returned with error code", osupdate.ErrBackend,
			"%s failed", "a full EFI system partition or disk is the usual cause: tbx host doctor"),
	}, te)
}
