// Package bootc drives bootc, on its ostree storage and on composefs. bootc has
// no way for ordinary users: reads fall back to ostree where the storage is
// ostree's, the rest goes through tbx's root helper. Hosts with layered packages
// are rpm-ostree's; bootc refuses them. Facts: bootc(8), and the recordings of
// bootc 1.16.9 in testdata/real.
package bootc

import (
	"context"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
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
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanDownload, osupdate.CanStage, osupdate.CanEtcDiff, "upgrade", "rollback",
			"switch", "overlay"},
		Lacks: map[osupdate.Capability]string{
			"install": layer, "uninstall": layer, "override-replace": layer, "override-remove": layer, "override-reset": layer,
			"initramfs": "the initramfs comes with the image", "apply-live": "reboot instead: tbx host reboot",
			"cleanup":           "bootc cleans up by itself; drop a staged update with: tbx host cancel",
			osupdate.CanVersion: "an exact version is an image of its own: tbx host switch IMAGE@sha256:…",
			osupdate.CanOneTime: "name it as what the host follows, and go back afterwards: sudo tbx host switch oci-archive:FILE, then tbx host " +
				"switch IMAGE",
			osupdate.CanDiff: "images are compared by their layers only; see the image's own change log",
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
	give(ostree || rpm || b.opt.Composefs, "bootc cannot withdraw a staged update; roll back after the next boot", "cancel")
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
	b.settle(a)
	return a, nil
}

// settle has the boot loader's entries decide what boots next and in which order,
// and, where bootc's word alone is not enough, the firmware's variables.
func (b *Backend) settle(a *answer) {
	s := a.state
	if a.unsure {
		if id := bootedByFirmware(b.opt.System, s); id != "" {
			s.Boot = osupdate.Boot{Next: id, Source: "the firmware"}
		} else {
			s.Boot = osupdate.Boot{State: osupdate.BootUnknown}
		}
	}
	if !b.opt.Composefs && b.opt.System != "" {
		loader := ostreefamily.ReadLoader(b.opt.System, b.opt.System, true)
		at := func(d osupdate.Deployment) int {
			if d.Staged {
				return -1
			}
			i := slices.IndexFunc(loader.Entries, func(e ostreefamily.Entry) bool { return e.ID == d.ID })
			if i < 0 {
				return len(loader.Entries)
			}
			return i
		}
		if len(loader.Entries) > 0 { // ostree's own order, which its index means
			slices.SortStableFunc(s.Deployments, func(x, y osupdate.Deployment) int { return at(x) - at(y) })
		}
		by := s.Boot.By
		loader.Apply(s)
		if by != "" && s.Boot.By != osupdate.ByMenuOrFallback {
			s.Boot.By = by
		}
	}
	s.Arrange()
	a.say()
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
	s.Backend, s.Tracked = osupdate.Bootc, ""
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Image = osupdate.ParseImage(d.Tracks); d.Image == nil {
			continue
		}
		if d.Image.Digest == "" {
			out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{ostree, "show", "--print-metadata-key=ostree.manifest-digest", d.Checksum}})
			if err == nil {
				d.Image.Digest = strings.Trim(strings.TrimSpace(string(out)), "'")
			}
		}
		d.Tracks, d.Signature = tracks(d.Image), d.Image.Signature
		if d.Staged {
			s.Tracked = d.Tracks
		}
	}
	a := &answer{state: s.Arrange()}
	a.say()
	return s, nil
}

func (b *Backend) step(p *osupdate.Plan, effect string, argv ...string) *osupdate.Step {
	p.Steps = append(p.Steps, osupdate.Step{Argv: argv, Effect: effect})
	return &p.Steps[len(p.Steps)-1]
}

// EtcDiff asks ostree, or bootc on its own storage.
func (b *Backend) EtcDiff(ctx context.Context, s *osupdate.State) ([]string, error) {
	if !b.opt.Composefs && b.has("ostree") {
		return ostreefamily.EtcDiff(ctx, b.tools)
	}
	argv := []string{b.bootc, "config-diff"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	list, err := parseConfigDiff(string(out))
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	return list, nil
}

// SoftReboot is ostree's; bootc's own storage has none.
func (b *Backend) SoftReboot(ctx context.Context, s *osupdate.State) (*osupdate.Step, error) {
	if b.opt.Composefs {
		return nil, fail.New(osupdate.ErrUnsupported, "this storage has no soft reboot yet").Hint("restart the machine: tbx host reboot")
	}
	return ostreefamily.SoftReboot(ctx, b.tools, s)
}

// MergeConflicts are of ostree storage: on its own bootc merges before it stages.
func (b *Backend) MergeConflicts(s *osupdate.State) []string {
	if b.opt.Composefs || b.opt.System == "" {
		return nil
	}
	return ostreefamily.EtcConflicts(b.opt.System, b.opt.System, s)
}
