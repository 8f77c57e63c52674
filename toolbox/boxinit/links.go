package boxinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// linkHostPaths shows sockets and directories of the host at their usual places.
func (b *box) linkHostPaths() error {
	var failed []error
	if b.cfg.Bridge != "" {
		if err := b.link(Bridge, b.cfg.Bridge); err != nil {
			failed = append(failed, err)
		}
	}
	if b.cfg.HostExec {
		failed = append(failed, b.linkTbx(), b.linkOpeners())
	}
	if !b.cfg.HostFiles {
		return errors.Join(failed...)
	}
	for _, p := range b.cfg.Links {
		if _, err := os.Stat(b.root + HostView + p); err != nil {
			continue
		}
		if b.inTheWay(p) {
			continue
		}
		if err := b.link(p, HostView+p); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// linkTbx puts tbx where root, sudo and login shells find it too, unless the toolbox has
// a tbx. root gets no other host commands: the scripts of packages call systemctl if
// there is one, and mean the toolbox's.
func (b *box) linkTbx() error {
	for _, dir := range SystemPath {
		if _, err := os.Lstat(b.root + dir + "/tbx"); err == nil {
			return nil
		}
	}
	return b.link("/usr/local/bin/tbx", BoxDir+"/shims/tbx")
}

// openers are host commands that always mean the host: they open things on the user's
// desktop. xdg-utils is installed along with any program that has a window.
var openers = []string{"xdg-open"}

// linkOpeners puts them before a package's own, for login shells and root too, unless the
// owner decides otherwise: by another file of that name in /usr/local/bin, or for all
// toolboxes by removing the shim.
func (b *box) linkOpeners() error {
	var failed []error
	for _, name := range openers {
		p, shim := "/usr/local/bin/"+name, BoxDir+"/shims/"+name
		ours := b.linkTarget(p) == shim
		switch {
		case b.exists(BoxDir+"/shims") && !b.exists(shim):
			if ours {
				failed = append(failed, os.Remove(b.root+p))
			}
		case ours, !b.exists(p):
			failed = append(failed, b.link(p, shim))
		}
	}
	return errors.Join(failed...)
}

// link makes p a symbolic link to target, in one step if p exists already.
func (b *box) link(p, target string) error {
	if b.onVolume(p) {
		return nil
	}
	dir := filepath.Dir(p)
	p = b.root + p
	if err := b.mkdir(dir); err != nil {
		return err
	}
	if have, err := os.Readlink(p); err == nil && have == target {
		return nil
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

// ensureRuntimeDir gives the user a runtime directory if podman mounted none: the host
// has none, or only parts of it are shared.
func (b *box) ensureRuntimeDir() error {
	dir := b.cfg.RuntimeDir
	if dir == "" || b.root != "" {
		return nil
	}
	if mounted, err := isMountPoint(dir); err != nil || mounted {
		return err
	}
	if err := b.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.chown(dir); err != nil {
		return err
	}
	// A former start may have made links that are not shared any more.
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
