package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Containers made in a toolbox belong to the toolbox. Home and runtime directory are the
// host's, and with them podman's store and its process numbers: podman inside would take
// the host's podman into the toolbox's namespaces. So the places where container engines
// keep the state of their namespaces are directories of the toolbox, see
// docs/containers-inside.md.

// engineRuntime are names in the runtime directory: podman's and buildah's, the OCI
// runtimes', and those of rootless docker and containerd.
var engineRuntime = []string{
	"libpod", "containers", "podman", "netns", "buildah", "crun", "runc", "youki", "runsc",
	"docker", "dockerd-rootless", "containerd", "containerd-rootless", "buildkit", "nerdctl",
}

// engineFiles are the files that rootless docker makes there, replacing existing ones.
var engineFiles = []string{"docker.sock", "docker.pid"}

// engineData are names below ~/.local/share. Those that are not needed are made only if
// the host has them.
var (
	engineData    = []string{"containers", "docker"}
	engineDataToo = []string{"containerd", "buildkit", "nerdctl", "rootlesskit"}
)

// engineRoot are root's stores: they would be an overlay on the toolbox's overlay, which
// the kernel does not support.
var engineRoot = []string{"/var/lib/containers/storage", "/var/lib/docker", "/var/lib/containerd", "/var/lib/buildkit"}

// sharedSettings are names in ~/.config/containers that do not depend on the place.
var sharedSettings = []string{"registries.conf", "registries.conf.d", "registries.d", "policy.json", "certs.d", "auth.json",
	"ocicrypt.conf"}

// insideData is the directory for containers in b, beside podman's own files about b: it
// is removed with the container, by whatever program, and is on no overlay unless the
// store is.
func insideData(b *Box) string {
	return filepath.Join(filepath.Dir(b.NamesTable), b.ID, "tbx")
}

// insideRun is the directory for files that must not outlive a start.
func (m *Manager) insideRun(b *Box) string { return filepath.Join(m.Host.TbxRuntime(), "inside", b.ID) }

// containersInside lists the host's places that containers in b must not change.
func (m *Manager) containersInside(b *Box) boxinit.Inside {
	if b.Spec.Isolated { // an isolated toolbox shares none of this, and its system call filter forbids containers
		return boxinit.Inside{}
	}
	h := m.Host
	in := boxinit.Inside{Data: insideData(b), Run: m.insideRun(b)}
	add := func(p boxinit.Place) {
		if !slices.ContainsFunc(in.Places, func(o boxinit.Place) bool { return o.Path == p.Path }) {
			in.Places = append(in.Places, p)
		}
	}
	for _, name := range engineRuntime {
		if !shows(b, boxRuntimeDir(h)) {
			break // the toolbox's own
		}
		add(boxinit.Place{Path: filepath.Join(boxRuntimeDir(h), name), From: name, Run: true})
	}
	if shows(b, boxRuntimeDir(h)) {
		for _, name := range engineFiles {
			add(boxinit.Place{Path: filepath.Join(boxRuntimeDir(h), name), From: name, Run: true, File: true})
		}
	}
	for _, base := range m.ownDirs(b, ".local/share", h.Dirs.Data) {
		for _, name := range engineData {
			add(boxinit.Place{Path: filepath.Join(base, name), From: name})
		}
		for _, name := range engineDataToo {
			if path := filepath.Join(base, name); h.Exists(path) {
				add(boxinit.Place{Path: path, From: name})
			}
		}
	}
	for _, base := range m.ownDirs(b, ".config", h.Dirs.Config) {
		if !shows(b, base) {
			continue
		}
		in.Config = filepath.Join(base, "containers")
		add(boxinit.Place{Path: in.Config, From: "config"})
	}
	if store := filepath.Dir(filepath.Dir(b.NamesTable)); shows(b, store) &&
		!slices.ContainsFunc(in.Places, func(p boxinit.Place) bool { return join.Below(store, p.Path) }) {
		add(boxinit.Place{Path: store, From: "containers/storage"})
	}
	for _, path := range engineRoot {
		add(boxinit.Place{Path: path, From: "root" + strings.ReplaceAll(path, "/", "-"), Root: true, Empty: true})
	}
	in.Places = slices.DeleteFunc(in.Places, func(p boxinit.Place) bool { return b.Spec.takenBy(p.Path) })
	if !slices.ContainsFunc(in.Places, func(p boxinit.Place) bool { return p.Path == in.Config }) {
		in.Config = ""
	}
	host := filepath.Join(filepath.Dir(h.Dirs.Config), "containers")
	for _, name := range sharedSettings {
		in.Shared = append(in.Shared, boxinit.HostView+filepath.Join(host, name))
	}
	if h.HasRuntime {
		in.Auth = boxinit.HostView + filepath.Join(h.RuntimeDir, "containers/auth.json")
	}
	return in
}

// ownDirs returns the directories in which programs look: the usual one in the home, and
// the one that the caller's variable names, if the toolbox shows it. ofTbx is tbx's
// directory in it.
func (m *Manager) ownDirs(b *Box, usual, ofTbx string) []string {
	out := []string{filepath.Join(m.Host.RealHome, usual)}
	if named := filepath.Dir(ofTbx); named != filepath.Join(m.Host.Home, usual) && shows(b, named) {
		out = append(out, named)
	}
	return out
}

// shows reports whether a directory of the host is at the same path in b.
func shows(b *Box, dir string) bool {
	return slices.ContainsFunc(b.Mounts, func(mt Mapping) bool {
		return mt.Source == mt.Target && mt.Source != "/" && join.Below(dir, mt.Source)
	})
}

// prepareInside makes the directories for containers in b, and their mount points in
// shared places, because the initialiser is another user to a file server. Failures are
// left to the initialiser to report.
func (m *Manager) prepareInside(b *Box, in boxinit.Inside) {
	if len(in.Places) == 0 {
		return
	}
	for _, dir := range []string{in.Data, in.Run} {
		os.MkdirAll(dir, 0o700)
	}
	for _, p := range in.Places {
		if shows(b, p.Path) && !p.File {
			os.MkdirAll(p.Path, 0o700)
		}
	}
}

// notShared maps the places of the toolbox's own to the places where the host's are seen
// instead: a command must run in the caller's directory, not in another one of the same
// name.
func notShared(in boxinit.Inside) []join.Mapping {
	var out []join.Mapping
	for _, p := range in.Places {
		if !p.Root {
			out = append(out, join.Mapping{Host: p.Path, Box: boxinit.HostView + p.Path})
		}
	}
	return out
}
