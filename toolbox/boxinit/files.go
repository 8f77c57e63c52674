package boxinit

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// makeDirectories makes what an image without a distribution may lack.
func (b *box) makeDirectories() error {
	var failed []error
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{"/tmp", 0o1777}, {"/var/tmp", 0o1777}, {"/run", 0o755}, {"/root", 0o700}} {
		if _, err := os.Stat(b.root + d.path); err == nil {
			continue
		}
		err := os.MkdirAll(b.root+d.path, 0o755)
		if err == nil {
			err = os.Chmod(b.root+d.path, d.mode.Perm()|stickyOf(d.mode))
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func stickyOf(mode os.FileMode) os.FileMode {
	if mode&0o1000 != 0 {
		return os.ModeSticky
	}
	return 0
}

func (b *box) writeFiles() error {
	var failed []error
	for _, f := range b.cfg.Files {
		if f.Needs != "" {
			if _, err := os.Stat(b.root + f.Needs); err != nil {
				continue
			}
		}
		failed = append(failed, b.put(f))
	}
	return errors.Join(failed...)
}

// put writes a file of tbx's own unless it is there already, with that content.
func (b *box) put(f File) error {
	full := b.root + f.Path
	old, err := b.read(f.Path)
	switch {
	case err == nil && f.Append && bytes.Contains(old, []byte(f.Content)):
		return nil
	case err == nil && f.Append:
		return b.replace(f.Path, append(old, f.Content...), 0o644)
	case err == nil && string(old) == f.Content:
		return os.Chmod(full, os.FileMode(f.Mode))
	case err != nil && f.Append && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return b.create(f.Path, []byte(f.Content), os.FileMode(f.Mode))
}

// exceptSharedPaths tells the image's package manager which paths are the
// host's, so that a package that owns one of them still installs.
func (b *box) exceptSharedPaths() error {
	var failed []error
	put := func(f File) { failed = append(failed, b.put(f)) }
	if b.exists("/usr/bin/dpkg") && !b.exists("/usr/sbin/policy-rc.d") {
		// Without it a package with a service starts a daemon on the host's network.
		put(File{Path: "/usr/sbin/policy-rc.d", Content: "#!/bin/sh\n# Written by tbx: services do not start in a toolbox.\nexit 101\n", Mode: 0o755})
	}
	if b.exists("/usr/lib/rpm") {
		put(File{
			Path:    "/usr/lib/rpm/macros.d/macros.tbx",
			Content: "# Written by tbx: rpm must not change these paths, they are the host's.\n%_netsharedpath /dev:/media:/mnt:/proc:/sys:/tmp:/run/user:/run/host:" + b.cfg.User.Home + "\n",
			Mode:    0o644,
		})
	}
	if b.exists("/usr/lib/tmpfiles.d") {
		// systemd-tmpfiles, run by a package's script, would fail on /tmp, which is the host's.
		for _, name := range []string{"tmp.conf", "fs-tmp.conf", "x11.conf", "home.conf"} {
			if !b.exists("/etc/tmpfiles.d/" + name) {
				failed = append(failed, b.link("/etc/tmpfiles.d/"+name, "/dev/null"))
			}
		}
	}
	return errors.Join(failed...)
}

func (b *box) exists(p string) bool {
	_, err := os.Lstat(b.root + p)
	return err == nil
}

// ensureHostname sees to it that the host's name resolves inside. Where the
// host's own /etc/hosts has it, that file is followed as it is. Elsewhere (the
// host resolves its name by nss-myhostname, or the toolbox has a name of its
// own) the toolbox has a file in StateDir, which the first process keeps up to
// date.
func (b *box) ensureHostname() error {
	name := b.cfg.Hostname
	if old, err := b.read("/etc/hostname"); err == nil && name != "" && strings.TrimSpace(string(old)) != name {
		// podman mounts a file with the container's id over it, which is nobody's name.
		if err := b.overwrite("/etc/hostname", []byte(name+"\n")); err != nil {
			return err
		}
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

// ownHosts says whether /etc/hosts is the file that tbx keeps.
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
