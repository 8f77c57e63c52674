package toolbox

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// An isolated toolbox is a boundary: what runs in it shall reach of the host
// what its specification lists, and nothing else. Everything here is a list of
// what it gets; there is no list of what is taken away from it.

// HomeVolume is the podman volume that is the home of an isolated toolbox.
func (s *Spec) HomeVolume() string { return homeVolume(s.ID) }

func homeVolume(id string) string { return "tbx-home-" + id }

// bridgeKey is the id under which the bridge registers a toolbox. For an isolated one it
// is the spec's ID: its directory is mounted at creation, before a container ID exists.
func (b *Box) bridgeKey() string {
	if b.Spec.Isolated {
		return b.Spec.ID
	}
	return b.ID
}

// withoutAll lists the integrations that are off, for whatever reason.
func (s *Spec) withoutAll() []string {
	var off []string
	for _, i := range integration.All() {
		if !s.Has(i.Key) {
			off = append(off, i.Key)
		}
	}
	return off
}

// isolate adds an isolated toolbox's mounts, devices and limits to p.
func (p *Plan) isolate(s *Spec, h *Host, f *integration.Facts, boxDir string) error {
	p.Isolated, p.Network, p.Hostname = true, "private", s.Hostname
	if s.NoNetwork {
		p.Network = "none"
	}
	if p.Hostname == "" {
		p.Hostname = hostnameFrom(p.Name)
	}
	p.CapDrop, p.Seccomp = h.dropped(), filepath.Join(h.TbxRuntime(), "seccomp.json")
	if err := p.limitMore(s, h); err != nil {
		return err
	}
	if s.GPU {
		p.Devices = h.gpuDevices()
	}
	// "z" is for SELinux, which keeps a container out of what it has not labelled.
	bind := func(source, target, reason string, options ...string) {
		p.Mounts = append(p.Mounts, Mount{Type: "bind", Source: source, Target: target,
			Options: append([]string{"rbind", "nosuid", "nodev", "z"}, options...), Reason: reason})
	}
	bind(boxDir, boxinit.BoxDir, "the program that is the toolbox's first process", "ro", "rprivate")
	p.Mounts = append(p.Mounts, Mount{Type: "volume", Source: s.HomeVolume(), Target: h.RealHome,
		Reason: "the home of this toolbox alone, removed with it"})
	p.Mounts = append(p.Mounts, f.Mounts()...)
	for _, v := range s.Share {
		if dir, readOnly := parseShare(v); readOnly {
			bind(dir, dir, "you shared it, to read", "ro", "rprivate")
		} else {
			bind(dir, dir, "you shared it: what is changed in it is changed on the host", "rslave")
		}
	}
	return p.addVolumes(s)
}

// hostnameFrom makes a host name of a toolbox's name, hostname(7).
func hostnameFrom(name Name) string {
	s := strings.Map(func(r rune) rune {
		if r == '_' || r == '.' {
			return '-'
		}
		return r
	}, string(name))
	return strings.TrimRight(s[:min(len(s), 63)], "-")
}

// checkIsolated refuses options that contradict --isolated or need it.
func checkIsolated(o *CreateOptions) error {
	switch {
	case !o.Isolated && len(o.Share) > 0:
		return fail.New(fail.Usage, "--share goes with --isolated only").
			Hint("a toolbox that is not isolated shares your home; for another directory there is --volume")
	case !o.Isolated && o.NoNetwork:
		return fail.New(fail.Usage, "--no-network goes with --isolated only").
			Hint("a toolbox that is not isolated uses the host's network")
	case !o.Isolated && o.ShmSize != "":
		return fail.New(fail.Usage, "--shm-size goes with --isolated only").
			Hint("a toolbox that is not isolated has the host's /dev/shm")
	case !o.Isolated && o.GPU:
		return fail.New(fail.Usage, "--gpu goes with --isolated only").
			Hint("a toolbox that is not isolated has the GPU, unless made with --no-devices or --no-gpu")
	case o.Isolated && o.Home != "":
		return fail.New(fail.Usage, "--home and --isolated exclude each other: an isolated toolbox has a home of its own, which podman keeps").
			Hint("to work on a directory of the host in it: --share DIRECTORY").Hint("to let it read what is in your home: --share ~:ro")
	}
	return nil
}

// isolatedVolume is a --volume as an isolated toolbox has it: a directory of the host
// is shared like any other, at its real path, and nothing covers tbx's own places.
// links are as resolveShare has them.
func isolatedVolume(h *Host, v string, mt Mount) (volume string, links []string, err error) {
	for _, o := range []string{"O", "U", "idmap", "dev"} {
		if slices.Contains(mt.Options, o) {
			return "", nil, fail.New(fail.Usage, "volume %q: option %s does not go with --isolated, where the directory is mounted as "+
				"it is, without devices", v, o).
				Hint("leave out the option, or share a copy of the directory")
		}
	}
	if join.Below(boxinit.BoxDir, mt.Target) {
		return "", nil, fail.New(fail.Usage, "volume %q: %s cannot be mounted over in an isolated toolbox", v, mt.Target)
	}
	if mt.Type != "bind" {
		return v, nil, nil
	}
	real, links, err := resolveShare(h, mt.Source)
	_, rest, _ := strings.Cut(v, ":")
	return real + ":" + rest, links, err
}

// prepareIsolated sees to what podman mounts, before a container is made or
// started: the bridge's directory is gone after every boot.
func (m *Manager) prepareIsolated(s *Spec) error {
	if !s.Isolated {
		return nil
	}
	if err := checkSharesStill(m.Host, s); err != nil {
		return err
	}
	bridge := m.mountedBridge(s)
	if bridge == "" {
		return nil
	}
	// Closed to others, as the bridge wants it when it comes to use it.
	if err := os.MkdirAll(bridge, 0o700); err != nil {
		return fail.Wrap(nil, err, "the toolbox's bridge to the host cannot be prepared")
	}
	return nil
}

// removeHome removes the private home of a toolbox, if it has one. id is the
// specification's, so that one whose file is lost leaves nothing behind either.
func (m *Manager) removeHome(ctx context.Context, e Engine, id string) error {
	if id == "" {
		return nil
	}
	if err := e.RemoveVolume(ctx, homeVolume(id)); err != nil {
		return fail.Wrap(nil, err, "the private home of the toolbox cannot be removed").
			Hint("remove it with: podman volume rm %s", homeVolume(id))
	}
	return nil
}

// mismatch returns an error when the file was edited to say something else of
// isolation than what the container has: it cannot be changed in a container.
func (b *Box) mismatch(file string) error {
	made := b.Labels[LabelIsolated] == "true"
	if made == b.Spec.Isolated {
		return nil
	}
	was := "was made without isolation"
	if made {
		was = "was made isolated"
	}
	return fail.New(nil, "toolbox %s %s, and %s says otherwise", b.Name, was, file).
		Hint("write isolated = %t there: a container cannot be changed in this", made)
}
