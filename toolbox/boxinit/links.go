package boxinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// followHostFiles makes files of /etc symbolic links into the host view, so
// that they follow the host at once and nobody polls (DNS after a VPN comes up,
// a new time zone).
func (b *box) followHostFiles() error {
	if !b.cfg.HostFiles {
		return nil
	}
	var failed []error
	for _, name := range b.cfg.Follow {
		target, ok := b.hostPath("/etc/" + name)
		if !ok {
			continue
		}
		if err := b.link("/etc/"+name, target); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// linkHostPaths shows sockets and directories of the host at their usual place.
func (b *box) linkHostPaths() error {
	var failed []error
	if b.cfg.Bridge != "" {
		if err := b.link(Bridge, b.cfg.Bridge); err != nil {
			failed = append(failed, err)
		}
	}
	if b.cfg.HostExec {
		if err := b.linkTbx(); err != nil {
			failed = append(failed, err)
		}
	}
	if !b.cfg.HostFiles {
		return errors.Join(failed...)
	}
	for _, p := range b.cfg.Links {
		if _, err := os.Stat(b.root + HostView + p); err != nil {
			continue
		}
		if fi, err := os.Lstat(b.root + p); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
			continue // the image, a package or a mount has its own
		}
		if err := b.link(p, HostView+p); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// linkTbx puts tbx where root, sudo and login shells look too, unless the toolbox
// has a tbx. The other host commands are not for root: the scripts of packages call
// systemctl if there is one, and mean the toolbox.
func (b *box) linkTbx() error {
	for _, dir := range SystemPath {
		if _, err := os.Lstat(b.root + dir + "/tbx"); err == nil {
			return nil
		}
	}
	return b.link("/usr/local/bin/tbx", BoxDir+"/shims/tbx")
}

// zoneinfo is where tzset(3) has its time zones.
const zoneinfo = "/usr/share/zoneinfo/"

// hostPath says where a file of the host is found inside the toolbox. A link
// on the host that is absolute would lead into the toolbox's own tree, so
// absolute links are followed here; relative ones stay as they are, and the
// file goes on following the host. So does an absolute link to a time zone that
// the toolbox has too: what changes with the zone is the link.
func (b *box) hostPath(p string) (string, bool) {
	for range 10 {
		target, err := os.Readlink(b.root + HostView + p)
		if err != nil || !path.IsAbs(target) {
			break
		}
		if strings.HasPrefix(target, zoneinfo) && b.exists(target) {
			return HostView + p, true
		}
		p = path.Clean(target)
	}
	_, err := os.Stat(b.root + HostView + p)
	return HostView + p, err == nil
}

// link makes p a symbolic link to target, in one step where p exists already.
func (b *box) link(p, target string) error {
	dir := filepath.Dir(p)
	p = b.root + p
	if have, err := os.Readlink(p); err == nil && have == target {
		return nil
	}
	if err := os.MkdirAll(b.root+dir, 0o755); err != nil {
		return err
	}
	if err := b.own(dir); err != nil {
		return err
	}
	tmp := p + ".tbx-new"
	os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, p); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("%s cannot become a link to %s: %w", strings.TrimPrefix(p, b.root), target, err)
	}
	return nil
}

// ensureRuntimeDir gives the user a runtime directory where podman mounted
// none: the host has none, or only parts of it are shared.
func (b *box) ensureRuntimeDir() error {
	dir := b.cfg.RuntimeDir
	if dir == "" || b.root != "" {
		return nil
	}
	if mounted, err := isMountPoint(dir); err != nil || mounted {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.chown(dir); err != nil {
		return err
	}
	// A former start may have linked what is no longer shared.
	if entries, err := os.ReadDir(dir); err == nil {
		for _, e := range entries {
			if e.Type()&fs.ModeSymlink != 0 {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
	var failed []error
	for _, name := range b.cfg.RuntimeLinks {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			failed = append(failed, err)
			continue
		}
		if filepath.Dir(p) != dir {
			b.chown(filepath.Dir(p))
		}
		if err := os.Symlink(filepath.Join(b.cfg.HostRuntime, name), p); err != nil && !errors.Is(err, fs.ErrExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
