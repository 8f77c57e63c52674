// Package rpmostree drives rpm-ostree through its program, which talks to its
// daemon; the daemon asks polkit, so that little here needs root. Facts:
// rpm-ostree(1), and the recordings of rpm-ostree 2026.2 in testdata/real.
package rpmostree

import (
	"context"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Backend is rpm-ostree.
type Backend struct {
	tools     *osupdate.Tools
	rpmostree string
	root      string // of the running system; empty: its boot loader is not read
	superuser bool
	registry  osupdate.Newer
	// newest asks the OSTree remote for the commit that ref names now.
	newest func(ctx context.Context, ref string) (*osupdate.Update, error)
}

var (
	_ osupdate.Backend     = (*Backend)(nil)
	_ osupdate.Differ      = (*Backend)(nil)
	_ osupdate.EtcDiffer   = (*Backend)(nil)
	_ osupdate.KargsReader = (*Backend)(nil)
	_ osupdate.Limited     = (*Backend)(nil)
)

// New returns the backend. newest may be nil: then checks of a host that follows
// an OSTree ref believe `rpm-ostree upgrade --check`.
func New(tools *osupdate.Tools, registry osupdate.Newer,
	newest func(ctx context.Context, ref string) (*osupdate.Update, error)) (*Backend, error) {
	path, err := tools.Path("rpm-ostree")
	if err != nil {
		return nil, err
	}
	return &Backend{tools: tools, rpmostree: path, registry: registry, newest: newest}, nil
}

// At tells the backend where the running system is, whose boot loader has the last
// word on what boots, and whether it works as root. It returns b.
func (b *Backend) At(root string, superuser bool) *Backend {
	b.root, b.superuser = root, superuser
	return b
}

// Kind is osupdate.RPMOSTree.
func (b *Backend) Kind() osupdate.Kind { return osupdate.RPMOSTree }

// Capabilities: all verbs.
func (b *Backend) Capabilities() osupdate.Capabilities {
	return osupdate.Capabilities{Has: []osupdate.Capability{
		osupdate.CanCheck, osupdate.CanCheckAsUser, osupdate.CanStatusAsUser, osupdate.CanVersion, osupdate.CanDownload, osupdate.CanStage,
		osupdate.CanDiff, osupdate.CanEtcDiff, osupdate.CanPolkit, osupdate.CanDowngrade,
		"upgrade", "rollback", "pin", "unpin", "switch", "install", "uninstall", "override-replace", "override-remove", "override-reset",
		"kargs", "initramfs", "apply-live", "overlay", "cancel", "cleanup", osupdate.CanLocalPackage,
	}, Lacks: map[osupdate.Capability]string{
		osupdate.CanOneTime: "name it as what the host follows, and go back afterwards: sudo tbx host switch " +
			"ostree-unverified-image:oci-archive:FILE, then " +
			"tbx host switch IMAGE",
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
	if b.root != "" {
		loader := ostreefamily.ReadLoader(b.root, b.root, true)
		loader.Apply(s)
		remotes := ostreefamily.Remotes(b.root, b.root)
		for i := range s.Deployments {
			d := &s.Deployments[i]
			commit := ostreefamily.ReadCommit(b.root+"/ostree/repo", firstOf(d.Base, d.Checksum))
			d.Successor = commit.Successor
			if d.Signature == "" {
				d.Signature = ostreefamily.Signature(d, remotes)
			}
		}
		s.Arrange()
	}
	head := s.Downloaded()
	if head == nil {
		head = s.Head()
	}
	if head != nil { // its upgrade follows what waits, locked or not, and not what runs
		s.Tracked = head.Tracks
	}
	if d := s.Downloaded(); d != nil {
		s.Warnings = append(s.Warnings,
			s.Label(d)+" is downloaded and locked: it is not applied until whoever locked it, or tbx host upgrade, unlocks it")
	}
	if s.Busy != nil {
		b.nameWorker(ctx, s.Busy)
	}
	if s.Driver != nil {
		s.Driver.Inactive = b.inactive(ctx, s.Driver.Unit)
	}
	return s, c, nil
}

var (
	transactionLine = pattern.Lazy(`(?m)^Transaction: (.+)$`)
	initiatorLine   = pattern.Lazy(`(?m)^\s*Initiator: \w+\(id:(\S+) dbus:\S+(?: unit:(\S+))? uid:(\d+)\)`)
)

// nameWorker completes who works on the host: the JSON has the client's number on the
// bus only, and the text has its command, name, unit and user.
func (b *Backend) nameWorker(ctx context.Context, h *osupdate.Holder) {
	text, err := b.run(ctx, "status")
	if err != nil {
		return // what the JSON said is true, too
	}
	if m := transactionLine().FindStringSubmatch(text); m != nil {
		h.What = "rpm-ostree " + strings.TrimSpace(m[1])
	}
	if m := initiatorLine().FindStringSubmatch(text); m != nil {
		h.Who = "the client " + m[1] + " of user " + m[3]
		if m[2] != "" {
			h.Who += " in " + m[2]
		}
	}
}

// inactive says whether systemd knows that the unit of an agent does not run: its
// registration lasts until the reboot, and rpm-ostree ignores it then.
func (b *Backend) inactive(ctx context.Context, unit string) bool {
	systemctl, err := b.tools.Path("systemctl")
	if err != nil {
		return false
	}
	out, _, _ := b.tools.Run(ctx, osupdate.Call{Argv: []string{systemctl, "is-active", unit}}) // its code is that of the state
	switch strings.TrimSpace(string(out)) {
	case "inactive", "failed", "deactivating":
		return true
	}
	return false
}

// State works for every user, and while a transaction runs.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	s, _, err := b.status(ctx)
	return s, err
}

// NextKargs asks rpm-ostree, which tells those of the next boot.
func (b *Backend) NextKargs(ctx context.Context, s *osupdate.State) ([]string, error) {
	out, err := b.run(ctx, "kargs")
	if err != nil {
		return nil, err
	}
	var list []string
	for _, k := range osupdate.SplitKargs(out) {
		if !strings.HasPrefix(k, "ostree=") {
			list = append(list, k)
		}
	}
	return list, nil
}

// EtcDiff asks ostree.
func (b *Backend) EtcDiff(ctx context.Context, s *osupdate.State) ([]string, error) {
	return ostreefamily.EtcDiff(ctx, b.tools)
}

// Diff compares the packages of two deployments.
func (b *Backend) Diff(ctx context.Context, from, to *osupdate.Deployment) (*osupdate.Diff, error) {
	out, err := b.run(ctx, "db", "diff", "--format=diff", from.Checksum, to.Checksum)
	if err != nil {
		return nil, err
	}
	d := parseDiff(out)
	d.From, d.To = osupdate.NamesOf(from, to)
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

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// SoftReboot is ostree's.
func (b *Backend) SoftReboot(ctx context.Context, s *osupdate.State) (*osupdate.Step, error) {
	return ostreefamily.SoftReboot(ctx, b.tools, s)
}

// MergeConflicts compares the three directories of defaults and /etc itself.
func (b *Backend) MergeConflicts(s *osupdate.State) []string {
	if b.root == "" {
		return nil
	}
	return ostreefamily.EtcConflicts(b.root, b.root, s)
}
