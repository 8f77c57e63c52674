// Package ostree drives `ostree admin`, version 2022.7 and newer, on the running
// host or on any sysroot directory. Facts: ostree-admin-*(1), and the sessions
// recorded in testdata.
package ostree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Backend is the plain ostree updater.
type Backend struct {
	tools   *osupdate.Tools
	ostree  string // absolute
	sysroot string
	os      string // stateroot named by the caller; may be empty
	booted  bool   // the sysroot is the running host's
	cache   string // directory for the repository that checks use
}

var (
	_ osupdate.Backend   = (*Backend)(nil)
	_ osupdate.Differ    = (*Backend)(nil)
	_ osupdate.EtcDiffer = (*Backend)(nil)
)

// New returns the backend for a sysroot ("/" for the running host). cache is a
// directory of the caller's for the metadata of checks; it is made when needed.
func New(tools *osupdate.Tools, sysroot, stateroot, cache string, booted bool) (*Backend, error) {
	path, err := tools.Path("ostree")
	if err != nil {
		return nil, err
	}
	return &Backend{tools: tools, ostree: path, sysroot: sysroot, os: stateroot, booted: booted, cache: cache}, nil
}

// Kind is osupdate.OSTree.
func (b *Backend) Kind() osupdate.Kind { return osupdate.OSTree }

// Capabilities of every supported version.
func (b *Backend) Capabilities() osupdate.Capabilities {
	layer := "plain ostree has no packages; install it in a toolbox, or build your own tree: tbx host build"
	c := osupdate.Capabilities{
		Has: []osupdate.Capability{
			osupdate.CanCheck, osupdate.CanCheckAsUser, osupdate.CanStatusAsUser, osupdate.CanVersion, osupdate.CanDownload,
			osupdate.CanDiff, osupdate.CanEtcDiff, osupdate.CanDowngrade, osupdate.CanOneTime,
			"upgrade", "rollback", "pin", "unpin", "switch", "kargs", "overlay", "cancel", "cleanup",
		},
		Lacks: map[osupdate.Capability]string{
			"install": layer, "uninstall": layer, "override-replace": layer, "override-remove": layer, "override-reset": layer,
			"initramfs": "the initramfs comes with the tree", "apply-live": "reboot instead: tbx host reboot",
		},
	}
	if b.booted {
		c.Has = append(c.Has, osupdate.CanStage)
	} else {
		c.Lacks[osupdate.CanStage] = "this sysroot is not the running system: changes are made at once"
	}
	return c
}

func (b *Backend) admin(verb string, args ...string) []string {
	return append([]string{b.ostree, "admin", verb, "--sysroot=" + b.sysroot}, args...)
}

func (b *Backend) repo() string { return filepath.Join(b.sysroot, "ostree/repo") }

func (b *Backend) run(ctx context.Context, argv ...string) (string, error) {
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	return string(out), err
}

// State asks for JSON first, and an older ostree for text.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	s := &osupdate.State{Backend: osupdate.OSTree, Busy: osupdate.FileLock(filepath.Join(b.sysroot, "ostree/lock"))}
	argv, parse := b.admin("status", "--json"), parseJSON
	if b.textOnly() {
		argv, parse = b.admin("status"), parseText
	}
	out, stderr, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil && bytes.Contains(stderr, []byte("Unknown option --json")) {
		b.rememberTextOnly()
		argv, parse = b.admin("status"), parseText
		out, stderr, err = b.tools.Run(ctx, osupdate.Call{Argv: argv})
	}
	// The text form ends with an error, after a part of the list, at the first
	// deployment without a signature.
	stopped := err != nil && bytes.Contains(stderr, []byte("GPG"))
	if err != nil && !stopped {
		return nil, err
	}
	if len(bytes.TrimSpace(out)) == 0 && !stopped {
		return nil, osupdate.BadOutput(argv, append(stderr, out...), errors.New("it said nothing"))
	}
	list, err := parse(out)
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	if stopped {
		s.Warnings = append(s.Warnings, "a deployment is not signed as its remote demands")
	}
	s.Stateroot = b.os
	loader := ostreefamily.ReadLoader(b.sysroot, b.sysroot, b.booted)
	s.Deployments = list
	if stopped {
		s.Deployments = b.complete(list, loader.Entries)
	}
	remotes := ostreefamily.Remotes(b.sysroot, b.sysroot)
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if o := b.origin(d); o != nil {
			d.Tracks = o.Tracks()
			if d.Booted {
				s.Custom = o.Custom()
			}
		}
		commit := ostreefamily.ReadCommit(b.repo(), d.Checksum)
		commit.Fill(d)
		d.Signature = ostreefamily.Signature(d, remotes)
	}
	loader.Apply(s)
	s.Arrange()
	return s, b.hasStateroot(s)
}

// complete adds the deployments that ostree left out because it stopped at one
// without a signature.
func (b *Backend) complete(list []osupdate.Deployment, entries []ostreefamily.Entry) []osupdate.Deployment {
	for _, e := range entries {
		if e.ID == "" || slices.ContainsFunc(list, func(d osupdate.Deployment) bool { return d.ID == e.ID }) {
			continue
		}
		d := osupdate.Deployment{ID: e.ID}
		d.Stateroot, d.Checksum = ostreefamily.PartsOf(e.ID)
		if o := b.origin(&d); o != nil {
			d.Pinned = o.Get("libostree-transient", "pinned") == "true"
		}
		list = append(list, d)
	}
	return list
}

// origin reads a deployment's origin file; nil when it cannot be.
func (b *Backend) origin(d *osupdate.Deployment) *osupdate.Origin {
	return ostreefamily.Origin(b.sysroot, d)
}

// hasStateroot refuses a stateroot that the caller named and that has no system.
func (b *Backend) hasStateroot(s *osupdate.State) error {
	if b.os == "" {
		return nil
	}
	var there []string
	for _, d := range s.Deployments {
		if d.Stateroot == b.os {
			return nil
		}
		there = append(there, d.Stateroot)
	}
	slices.Sort(there)
	err := fail.New(osupdate.ErrNotFound, "%s has no system of the stateroot %s", b.sysroot, escape.Quote(b.os))
	if there = slices.Compact(there); len(there) > 0 {
		return err.Hint("there are: %s", strings.Join(there, ", "))
	}
	return err
}

// textOnly says whether this very ostree was found to have no --json before: to
// ask it again would cost as much as the status itself.
func (b *Backend) textOnly() bool {
	known, err := os.ReadFile(filepath.Join(b.cache, "text-only"))
	return err == nil && string(known) == b.identity()
}

func (b *Backend) rememberTextOnly() {
	// Without it the next status is slower, and right.
	if os.MkdirAll(b.cache, 0o700) == nil {
		_ = atomicfile.WriteVolatile(filepath.Join(b.cache, "text-only"), []byte(b.identity()), 0o644)
	}
}

// identity changes when the program does.
func (b *Backend) identity() string {
	fi, err := os.Stat(b.ostree)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", b.ostree, fi.Size(), fi.ModTime().UnixNano())
}

// stateroot is the one to work on.
func (b *Backend) stateroot(s *osupdate.State) (string, error) {
	if b.os != "" {
		return b.os, nil
	}
	if cur := s.Current(); cur != nil {
		return cur.Stateroot, nil
	}
	return "", fail.New(osupdate.ErrNotFound, "%s has no deployment", b.sysroot).Hint("deploy one first: ostree admin deploy")
}

// Diff lists the files that two deployments' commits differ in.
func (b *Backend) Diff(ctx context.Context, from, to *osupdate.Deployment) (*osupdate.Diff, error) {
	out, err := b.run(ctx, b.ostree, "--repo="+b.repo(), "diff", from.Checksum, to.Checksum)
	if err != nil {
		return nil, err
	}
	d := &osupdate.Diff{From: from.Name(), To: to.Name()}
	for line := range strings.Lines(out) {
		kind, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		path = strings.TrimSpace(path)
		switch kind {
		case "A":
			d.Added = append(d.Added, path)
		case "D":
			d.Removed = append(d.Removed, path)
		case "M":
			d.Changed = append(d.Changed, path)
		}
	}
	return d, nil
}

// EtcDiff lists what differs from the deployment's defaults.
func (b *Backend) EtcDiff(ctx context.Context, s *osupdate.State) ([]string, error) {
	root, err := b.stateroot(s)
	if err != nil {
		return nil, err
	}
	out, err := b.run(ctx, b.admin("config-diff", "--os="+root)...)
	if err != nil {
		return nil, err
	}
	return ostreefamily.ParseEtcDiff(out), nil
}

// remoteExists keeps a switch from detaching the host: ostree would take any word.
func (b *Backend) remoteExists(ctx context.Context, ref string) error {
	remote, _, ok := strings.Cut(ref, ":")
	if !ok {
		return nil
	}
	out, err := b.run(ctx, b.ostree, "--repo="+b.repo(), "remote", "list")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(out), remote) {
		return fail.New(osupdate.ErrNotFound, "there is no remote %q", remote).Hint("add it first: ostree remote add %s URL", remote)
	}
	return nil
}

var errNoOrigin = errors.New("its origin file cannot be read")

func (b *Backend) originFor(d *osupdate.Deployment) (*osupdate.Origin, error) {
	if o := b.origin(d); o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("deployment %s: %w", d.Name(), errNoOrigin)
}

// SoftReboot is ostree's.
func (b *Backend) SoftReboot(ctx context.Context, s *osupdate.State) (*osupdate.Step, error) {
	return ostreefamily.SoftReboot(ctx, b.tools, s)
}

// MergeConflicts are of the running host only: elsewhere ostree merges at once.
func (b *Backend) MergeConflicts(s *osupdate.State) []string {
	if !b.booted {
		return nil
	}
	return ostreefamily.EtcConflicts(b.sysroot, b.sysroot, s)
}
