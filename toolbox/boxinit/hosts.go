package boxinit

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// ensureHostname makes the host's name resolve inside. If the host's own /etc/hosts has
// the name, that file is followed. Otherwise (the host resolves it by nss-myhostname, or
// the toolbox has another name) the toolbox gets a file in StateDir, which the first
// process keeps up to date.
func (b *box) ensureHostname() error {
	name := b.cfg.Hostname
	if old, err := b.read("/etc/hostname"); err == nil && !b.onVolume("/etc/hostname") && name != "" &&
		strings.TrimSpace(string(old)) != name {
		// podman mounts a file with the container's id over it, which is no host's name.
		if err := b.overwrite("/etc/hostname", []byte(name+"\n")); err != nil {
			return err
		}
	}
	if b.onVolume("/etc/hosts") {
		return nil
	}
	if b.packagesOwnHosts() {
		return b.copyHosts(name)
	}
	hosts, err := b.readThrough("/etc/hosts")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if name == "" || hostsHas(hosts, name) && !b.ownHosts() {
		return nil
	}
	if b.cfg.HostFiles {
		if host, err := os.ReadFile(b.root + HostView + "/etc/hosts"); err == nil {
			if hostsHas(host, name) {
				return nil
			}
			hosts = host
		}
	}
	if err := b.create(StateDir+"/hosts-name", []byte(name+"\n"), 0o644); err != nil {
		return err
	}
	if err := b.create(StateDir+"/hosts", withEntry(hosts, name), 0o644); err != nil {
		return err
	}
	return errors.Join(b.chown(b.root+StateDir+"/hosts"), b.link("/etc/hosts", StateDir+"/hosts"))
}

// packagesOwnHosts reports whether /etc/hosts belongs to the distribution's base package,
// as with rpm, pacman, apk or xbps: their verification would report a link in its place.
func (b *box) packagesOwnHosts() bool {
	return slices.ContainsFunc([]string{"/usr/lib/rpm", "/var/lib/rpm", "/usr/bin/pacman", "/sbin/apk", "/usr/bin/apk",
		"/usr/bin/xbps-install"}, b.exists)
}

// copyHosts writes the host's file, and name, into that file.
func (b *box) copyHosts(name string) error {
	const file = "/etc/hosts"
	have, err := b.readThrough(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	want := bytes.Clone(have)
	if b.cfg.HostFiles && slices.Contains(b.cfg.Follow, "hosts") {
		if host, err := b.readThrough(HostView + file); err == nil {
			want = host
		}
	}
	if name != "" {
		want = withEntry(want, name)
	}
	switch {
	case b.linkTarget(file) != "" || !b.exists(file):
		return b.create(file, want, 0o644)
	case bytes.Equal(have, want):
		return nil
	}
	return b.replace(file, want, 0o644)
}

// ownHosts reports whether tbx keeps /etc/hosts.
func (b *box) ownHosts() bool {
	target, err := os.Readlink(b.root + "/etc/hosts")
	return err == nil && target == StateDir+"/hosts"
}

// withEntry returns a hosts(5) file with a line for name.
func withEntry(hosts []byte, name string) []byte {
	if hostsHas(hosts, name) {
		return hosts
	}
	if len(hosts) == 0 {
		hosts = []byte("127.0.0.1 localhost\n::1 localhost\n")
	}
	if !bytes.HasSuffix(hosts, []byte("\n")) {
		hosts = append(hosts, '\n')
	}
	return append(hosts, "127.0.1.1 "+name+"\n"...)
}

func hostsHas(hosts []byte, name string) bool {
	for _, line := range strings.Split(string(hosts), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for _, f := range fields[min(1, len(fields)):] {
			if strings.EqualFold(f, name) {
				return true
			}
		}
	}
	return false
}
