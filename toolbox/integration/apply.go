package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// HostRuntime is where the host's runtime directory is mounted when the toolbox shares
// only parts of it.
const HostRuntime = "/run/tbx/host-runtime"

// Mounts returns the mounts that podman makes for the integrations that are on.
func (f *Facts) Mounts() []Mount {
	var out []Mount
	for _, i := range table {
		if i.Mounts != nil && f.Has(i.Key) {
			out = append(out, i.Mounts(f)...)
		}
		if i == &home { // the user's other directory
			out = append(out, f.runtimeDirectory()...)
		}
	}
	return out
}

// View returns the mounts that tbx attaches at every start. If the host does not allow
// that, podman makes them.
func (f *Facts) View() []Mount {
	var out []Mount
	for _, i := range table {
		if i.View != nil && f.Has(i.Key) {
			out = append(out, i.View(f)...)
		}
	}
	return out
}

// Devices returns the devices that the integrations add, as podman-create(1) takes them.
func (f *Facts) Devices() []string {
	var out []string
	for _, i := range table {
		if i.Devices != nil && f.Has(i.Key) {
			out = append(out, i.Devices(f)...)
		}
	}
	return out
}

// HostDirs returns the directories of the host view that variables get.
func (f *Facts) HostDirs() []HostDirs {
	var out []HostDirs
	for _, i := range table {
		if i.HostDirs.Variable != "" && f.Has(i.Key) {
			out = append(out, i.HostDirs)
		}
	}
	return out
}

// Static returns the host files that are copied at every start, because this toolbox has
// no host view to follow them.
func (f *Facts) Static() []string {
	if f.Has(HostView) {
		return nil
	}
	var out []string
	for _, i := range table {
		if f.Has(i.Key) {
			out = append(out, i.Static...)
		}
	}
	return out
}

// Configure adds to c the work of the initialiser for the integrations that are on.
func (f *Facts) Configure(c *boxinit.Config) {
	for _, i := range table {
		if !f.Has(i.Key) {
			continue
		}
		c.Follow = append(c.Follow, i.Follow...)
		c.Copy = append(c.Copy, i.Copy...)
		c.Links = append(c.Links, i.Links...)
		c.Binds = append(c.Binds, i.Binds...)
		if i.Runtime != nil && c.HostRuntime != "" {
			c.RuntimeLinks = append(c.RuntimeLinks, i.Runtime(f)...)
		}
		if i.Setup != nil {
			i.Setup(f, c)
		}
	}
}

// runtimeDirectory mounts the user's runtime directory: as a whole if all integrations in
// it are on; otherwise at another place, for links to its parts.
func (f *Facts) runtimeDirectory() []Mount {
	some, all := f.InRuntime()
	switch {
	case f.RuntimeDir == "" || !some:
		return nil
	case all:
		return []Mount{bind(SessionBus, f.RuntimeDir, f.RuntimeDir, "sockets of your session: Wayland, PipeWire, D-Bus, agents")}
	}
	return []Mount{bind(SessionBus, f.RuntimeDir, HostRuntime, "sockets of your session, of which some are linked to "+f.BoxRuntime)}
}

// InRuntime reports whether some, or all, of the integrations in the user's runtime
// directory are on.
func (f *Facts) InRuntime() (some, all bool) {
	all = true
	for _, i := range table {
		if i.Runtime != nil {
			some, all = some || f.Has(i.Key), all && f.Has(i.Key)
		}
	}
	return some, all
}

// bind is a mount of a directory of the host, with all that is mounted below it.
func bind(key, source, target, reason string) Mount {
	return Mount{Type: "bind", Source: source, Target: target, Options: []string{"rbind", "rslave"}, Reason: reason, Integration: key}
}
