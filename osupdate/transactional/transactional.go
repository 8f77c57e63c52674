// Package transactional drives transactional-update (openSUSE MicroOS, Aeon):
// each change makes a btrfs snapshot, and the default one boots. Facts:
// transactional-update(8), and the research page's §1.5. A second call without
// --continue would silently discard what the first one did.
package transactional

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// Backend is transactional-update.
type Backend struct {
	tools   *osupdate.Tools
	program string
	root    string
}

var _ osupdate.Backend = (*Backend)(nil)

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
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanCheckAsUser, osupdate.CanStatusAsUser, "upgrade", "rollback", "install", "uninstall", "apply-live", "cancel", "cleanup"},
		Lacks: map[osupdate.Capability]string{
			"pin": keep, "unpin": keep, "switch": "the sources are zypper's repositories: zypper repos", "override-replace": zypper, "override-remove": zypper, "override-reset": zypper,
			"kargs": "edit /etc/kernel/cmdline or /etc/default/grub, then: transactional-update grub.cfg", "initramfs": "make it anew with: transactional-update initrd",
			"overlay": "open a shell in a new snapshot instead: transactional-update shell", osupdate.CanDiff: "compare snapshots with: snapper status A..B",
			osupdate.CanEtcDiff: "/etc is part of each snapshot: snapper status A..B", osupdate.CanVersion: zypper, osupdate.CanDownload: zypper,
		},
	}
}

const tracked = "zypper repositories"

// State asks tukit, which every user may.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	tukit, err := b.tools.Path("tukit")
	if err != nil {
		return nil, err
	}
	argv := []string{tukit, "snapshots", "-f", "number,default,active,date,description"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	s, err := parse(string(out))
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	s.Busy = cmp.Or(osupdate.PIDLock(filepath.Join(b.root, "var/run/transactional-update.pid")), osupdate.PIDLock(filepath.Join(b.root, "var/run/tukit.lock")))
	return s, nil
}

// parse reads lines of number, default, active, date and description, separated
// by TABs. Boot order: the default snapshot, the running one, then from new to old.
func parse(text string) (*osupdate.State, error) {
	type snapshot struct {
		n               int
		dflt, active    bool
		date, described string
	}
	yes := func(s string) bool { return slices.Contains([]string{"yes", "true", "1", "*"}, strings.TrimSpace(s)) }
	var list []snapshot
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) < 3 {
			return nil, fmt.Errorf("%q is no line of five fields", line)
		}
		n, err := strconv.Atoi(strings.TrimSpace(f[0]))
		if err != nil {
			if len(list) == 0 && strings.Contains(f[0], "umber") {
				continue // a head line
			}
			return nil, fmt.Errorf("%q is no snapshot's number", f[0])
		}
		if n <= 0 {
			continue // snapshot 0 stands for the running file system
		}
		f = append(f, "", "")
		list = append(list, snapshot{n, yes(f[1]), yes(f[2]), f[3], f[4]})
	}
	rank := func(s snapshot) int {
		switch {
		case s.dflt:
			return 0
		case s.active:
			return 1
		}
		return 2
	}
	slices.SortFunc(list, func(a, b snapshot) int { return cmp.Or(rank(a)-rank(b), b.n-a.n) })
	if len(list) == 0 || !list[0].dflt {
		return nil, fmt.Errorf("no snapshot is the default")
	}
	s := &osupdate.State{Backend: osupdate.Transactional, Tracked: tracked}
	for _, sn := range list {
		d := osupdate.Deployment{ID: fmt.Sprintf("snapshot-%d", sn.n), Checksum: fmt.Sprintf("snapshot-%d", sn.n), Version: strconv.Itoa(sn.n), Booted: sn.active, Tracks: tracked}
		if t, err := time.Parse("2006-01-02 15:04:05", strings.TrimSpace(sn.date)); err == nil {
			d.Time = &t
		}
		s.Deployments = append(s.Deployments, d)
	}
	return s.Arrange(), nil
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
	waits := s.Booted() != nil && !s.Booted().Next
	change := func(effect string, args ...string) {
		argv := []string{b.program, "--non-interactive"}
		if waits {
			argv = append(argv, "--continue")
			effect += ", on top of " + s.Next().ID + " which waits for the next boot"
		}
		p.Network = true
		p.Steps = append(p.Steps, osupdate.Step{Argv: append(argv, args...), Effect: effect})
	}
	switch r.Verb {
	case osupdate.Upgrade:
		if r.Target != "" || r.DownloadOnly || r.AllowDowngrade {
			return nil, osupdate.Unsupported(osupdate.Transactional, r.Verb, lacks[osupdate.CanVersion])
		}
		change("update every package in a new snapshot that boots next", "dup")
	case osupdate.Install:
		change("install "+strings.Join(r.Packages, ", ")+" in a new snapshot that boots next", append([]string{"pkg", "install"}, r.Packages...)...)
	case osupdate.Uninstall:
		change("remove "+strings.Join(r.Packages, ", ")+" in a new snapshot that boots next", append([]string{"pkg", "remove"}, r.Packages...)...)
	case osupdate.Rollback:
		d, err := s.Back(r.Target)
		if err != nil {
			return nil, err
		}
		b.makeDefault(p, d)
	case osupdate.Cancel:
		p.Unchanged = "nothing waits for the next boot"
		if waits {
			p.Unchanged = ""
			b.makeDefault(p, s.Booted())
		}
	case osupdate.ApplyLive:
		p.NeedsBoot, p.Reversible = false, false
		p.Unchanged = "nothing waits for the next boot"
		if waits {
			p.Unchanged = ""
			p.Steps = []osupdate.Step{{Argv: []string{b.program, "apply"}, Effect: "mount /usr and /etc of " + s.Next().ID + " over the running ones"}}
		}
	case osupdate.Cleanup:
		p.NeedsBoot, p.Reversible = false, false
		p.Steps = []osupdate.Step{{Argv: []string{b.program, "cleanup"}, Effect: "let snapper delete snapshots that are not needed"}}
	}
	return p.Finish(osupdate.Transactional, r), nil
}

func (b *Backend) makeDefault(p *osupdate.Plan, d *osupdate.Deployment) {
	if d.Next {
		p.Unchanged = d.ID + " boots next already"
		return
	}
	p.Steps = append(p.Steps, osupdate.Step{Argv: []string{b.program, "rollback", d.Version}, Effect: "boot " + d.ID + " next"})
}

// Explain knows the program's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Transactional, []osupdate.Rule{
		osupdate.NewRule(`(?i)couldn't get lock|is another instance already running|tukit.*lock`, osupdate.ErrBusy, "another instance runs", "try again when it is done"),
		osupdate.NewRule(`(?i)nothing provides|conflicts with|Problem: `, osupdate.ErrConflict, "the packages do not fit together", "see which with --verbose; install it in a toolbox instead"),
		osupdate.NewRule(`(?i)No provider of '([^']+)' found|package '([^']+)' not found`, osupdate.ErrNotFound, "no repository has %s", "search for it: zypper search WORD"),
		osupdate.NewRule(`(?i)signature verification failed`, osupdate.ErrSignature, "a repository's signature is not trusted", "nothing was changed; ask its maker whether the key has changed"),
	}, te)
}
