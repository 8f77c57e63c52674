package boxinit

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// followHostFiles makes files of /etc symbolic links into the host view, so that they
// follow the host at once without polling (DNS after a VPN comes up, a new time zone).
// Packages replace such a link; the next start repairs it.
func (b *box) followHostFiles() error {
	if !b.cfg.HostFiles {
		return nil
	}
	var failed []error
	for _, name := range b.cfg.Follow {
		if name == "hosts" && b.packagesOwnHosts() {
			continue // see copyHosts
		}
		target, ok := b.hostPath("/etc/" + name)
		if !ok {
			continue
		}
		if err := b.link("/etc/"+name, target); err != nil {
			failed = append(failed, err)
		}
	}
	for _, name := range b.cfg.Copy {
		if data, err := b.readThrough(HostView + "/etc/" + name); err == nil {
			failed = append(failed, b.put(File{Path: "/etc/" + name, Content: string(data), Mode: 0o444}))
		}
	}
	return errors.Join(append(failed, b.standInForResolved(), b.giveBackHostConf())...)
}

// standInForResolved provides the files of systemd-resolved, if the host does not run it:
// when its package is installed in the toolbox, where its service does not run either, it
// replaces /etc/resolv.conf by a link to them.
func (b *box) standInForResolved() error {
	const dir = "/run/systemd/resolve"
	if !slices.Contains(b.cfg.Follow, "resolv.conf") || b.exists(HostView+dir) {
		return nil
	}
	target, ok := b.hostPath("/etc/resolv.conf")
	if !ok {
		return nil
	}
	return errors.Join(b.link(dir+"/stub-resolv.conf", target), b.link(dir+"/resolv.conf", target))
}

// giveBackHostConf restores a file where former versions of tbx made a link:
// /etc/host.conf belongs to a package (base-files, setup, filesystem). In all of them it
// has the same one line.
func (b *box) giveBackHostConf() error {
	if !b.intoHostView("/etc/host.conf") {
		return nil
	}
	return b.create("/etc/host.conf", []byte("multi on\n"), 0o644)
}

// hostPath returns the place of a host file inside the toolbox. Links on the host stay
// links, and the file keeps following the host: relative links lead to another place in
// the host view. The target of an absolute link would be in the toolbox's own tree, so a
// link is made there that leads back. It is not made below /usr, which belongs to the
// packages; there the file follows the host at the next start, except a time zone that
// both have.
func (b *box) hostPath(p string) (string, bool) {
	host := HostView + p
	start := host
	for range 10 {
		target := b.linkTarget(host)
		if target == "" {
			break
		}
		if !path.IsAbs(target) {
			host = path.Join(path.Dir(host), target)
			continue
		}
		target = path.Clean(target)
		host = HostView + target
		if strings.HasPrefix(target, zoneinfo) && b.exists(target) {
			return start, true
		}
		if !b.leadBack(target) {
			start = host
		}
	}
	return start, b.exists(HostView + p)
}

// leadBack makes p a link to the same path in the host view, unless the toolbox has
// something there.
func (b *box) leadBack(p string) bool {
	if below(p, "/usr") || below(p, "/etc") || below(p, HostView) {
		return false
	}
	if target := b.linkTarget(p); b.exists(p) && target != HostView+p {
		return false
	}
	if slices.ContainsFunc(b.cfg.Links, func(l string) bool { return below(p, l) && b.exists(HostView+l) }) {
		return true // what it is in will lead there
	}
	return b.link(p, HostView+p) == nil
}

// zoneinfo is the directory of time zones, tzset(3).
const zoneinfo = "/usr/share/zoneinfo/"

// nameZone writes the name of the host's time zone into /etc/timezone, if the image or
// the host has that file. It is the toolbox's own file, because tzdata's scripts write to
// it. A directory, as on some systems, is left alone.
func (b *box) nameZone() error {
	const file = "/etc/timezone"
	fi, err := os.Lstat(b.root + file)
	switch {
	case b.cfg.Zone == "" && err == nil && b.intoHostView(file): // a former version of tbx made it
		return os.Remove(b.root + file)
	case b.cfg.Zone == "", errors.Is(err, fs.ErrNotExist) && !b.cfg.ZoneAt:
		return nil
	case err == nil && fi.IsDir():
		return nil
	}
	return b.put(File{Path: file, Content: b.cfg.Zone + "\n", Mode: 0o644})
}
