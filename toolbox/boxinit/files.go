package boxinit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

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

// put writes a file of tbx, unless it has that content already.
func (b *box) put(f File) error {
	if b.onVolume(f.Path) {
		return nil
	}
	if f.Undo {
		return b.undo(f)
	}
	if err := b.mkdir(filepath.Dir(f.Path)); err != nil {
		return err
	}
	if old, err := b.read(f.Path); err == nil && string(old) == f.Content {
		return os.Chmod(b.root+f.Path, os.FileMode(f.Mode))
	}
	return b.create(f.Path, []byte(f.Content), os.FileMode(f.Mode))
}

// undo removes the lines from a package's file that former versions of tbx added, because
// the package manager asks at each update whose version to keep. It removes a file
// without other lines.
func (b *box) undo(f File) error {
	old, err := b.read(f.Path)
	if err != nil || !bytes.Contains(old, []byte(f.Content)) {
		return nil // not there, or what tbx never wrote to
	}
	rest := bytes.ReplaceAll(old, []byte(f.Content), nil)
	if len(rest) == 0 && f.Needs != f.Path {
		return os.Remove(b.root + f.Path)
	}
	return b.replace(f.Path, rest, 0o644)
}

// exceptSharedPaths tells the image's package manager which paths belong to the host, so
// that a package with one of them still installs.
func (b *box) exceptSharedPaths() error {
	var failed []error
	put := func(f File) { failed = append(failed, b.put(f)) }
	if b.exists("/usr/bin/dpkg") && !b.exists("/usr/sbin/policy-rc.d") {
		// Without it, installing a service would start a daemon on the host's network.
		put(File{Path: "/usr/sbin/policy-rc.d", Content: "#!/bin/sh\n# Written by tbx: services do not start in a toolbox.\nexit 101\n",
			Mode: 0o755})
	}
	if b.exists("/usr/lib/rpm") {
		put(File{
			Path: "/usr/lib/rpm/macros.d/macros.tbx",
			Content: "# Written by tbx: rpm must not change these paths, they are the host's.\n%_netsharedpath " +
				"/dev:/media:/mnt:/proc:/sys:/tmp:/run/user:/run/host:" + b.cfg.User.Home + "\n",
			Mode: 0o644,
		})
	}
	if b.exists("/usr/lib/tmpfiles.d") {
		// systemd-tmpfiles, run by a package's script, would fail on the host's /tmp.
		failed = append(failed, b.mkdir("/etc/tmpfiles.d"))
		for _, name := range []string{"tmp.conf", "fs-tmp.conf", "x11.conf", "home.conf"} {
			if !b.exists("/etc/tmpfiles.d/" + name) {
				failed = append(failed, b.link("/etc/tmpfiles.d/"+name, "/dev/null"))
			}
		}
	}
	return errors.Join(failed...)
}
