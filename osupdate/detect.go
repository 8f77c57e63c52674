package osupdate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/osrelease"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Detection is the result of Detect, with its evidence.
type Detection struct {
	Kind       Kind     `json:"kind"`
	Evidence   []string `json:"evidence"`            // one sentence for each fact, in the order of checking
	Container  string   `json:"container,omitempty"` // the kind of container tbx runs in; Kind is then None
	Live       bool     `json:"live,omitempty"`      // a live medium: nothing may be changed
	Composefs  bool     `json:"composefs,omitempty"` // bootc's own storage, without an OSTree repository
	Booted     bool     `json:"booted"`              // the root is the running system, not a directory of a system
	Stateroot  string   `json:"stateroot,omitempty"`
	Checksum   string   `json:"checksum,omitempty"` // booted OSTree commit, or composefs digest
	OriginPath string   `json:"origin_path,omitempty"`
	Would      string   `json:"would,omitempty"` // on a host that is not image-based: what manages it instead
	Managers   []string `json:"managers,omitempty"`
}

// Detect returns the updater of the system whose root directory is root. It looks at the
// booted state, not at the installed programs: most image-based hosts have several. It
// only reads files below root, starts nothing, and gives the same answer for the same
// tree.
func Detect(root string) Detection {
	p := probe{root: root}
	var d Detection
	d.Kind, d.Evidence = None, nil
	say := func(format string, args ...any) { d.Evidence = append(d.Evidence, fmt.Sprintf(format, args...)) }

	if c := p.container(); c != "" {
		d.Container = c
		say("%s: this is a container, not the host", c)
		return d
	}
	cmdline := strings.Fields(p.read("proc/cmdline"))
	d.Live = p.has("run/ostree-live") || slices.Contains(cmdline, "rd.live.image")
	if d.Live {
		say("a live medium: read-only")
	}
	d.Managers = p.managers()
	for _, m := range d.Managers {
		say("%s is enabled and may drive updates", m)
	}
	d.Booted = len(cmdline) > 0

	switch {
	case p.composefs(cmdline, &d, say):
	case p.ostree(cmdline, &d, say):
	case p.has("abimage.abr") && p.has("usr/bin/abroot"):
		d.Kind = ABRoot
		say("/abimage.abr names the image of this root, and abroot is installed")
	case p.transactional(&d, say):
	case p.rauc(&d, say):
	case p.sysupdate(&d, say):
	case p.snapd(cmdline, &d, say):
	case p.has("etc/NIXOS") && p.link("run/current-system") != "":
		d.Kind = NixOS
		say("/etc/NIXOS and /run/current-system: a NixOS generation is running")
	default:
		say("no image-based updater rules this system")
		d.Would = p.packageManager()
	}
	return d
}

type probe struct{ root string }

func (p probe) path(name string) string { return filepath.Join(p.root, name) }

// has reports whether name exists, without leaving the root.
func (p probe) has(name string) bool {
	_, err := os.Lstat(p.path(name))
	return err == nil
}

func (p probe) read(name string) string {
	const most = 1 << 20 // /proc files have no size; nothing here is near this
	f, err := os.Open(p.path(name))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, most)
	n := 0
	for n < most {
		m, err := f.Read(buf[n:])
		n += m
		if err != nil {
			break
		}
	}
	return string(buf[:n])
}

func (p probe) link(name string) string {
	target, err := os.Readlink(p.path(name))
	if err != nil {
		return ""
	}
	return target
}

func (p probe) container() string {
	for _, c := range []struct{ file, name string }{
		{"run/.toolboxenv", "a Toolbx container (/run/.toolboxenv)"},
		{"run/.containerenv", "a podman container (/run/.containerenv)"},
		{".dockerenv", "a docker container (/.dockerenv)"},
	} {
		if p.has(c.file) {
			return c.name
		}
	}
	if v := strings.TrimSpace(p.read("run/systemd/container")); v != "" {
		return "a container of " + v + " (/run/systemd/container)"
	}
	return ""
}

var composefsKarg = pattern.Lazy(`^composefs=\??([0-9a-f]{128}|[0-9a-f]{64})$`)

// composefs recognises bootc's own storage as bootc itself does: by the source of the
// root mount or the kernel argument. /run/ostree-booted does not exist then.
func (p probe) composefs(cmdline []string, d *Detection, say func(string, ...any)) bool {
	digest, from := "", ""
	for _, arg := range cmdline {
		if m := composefsKarg().FindStringSubmatch(arg); m != nil {
			digest, from = m[1], "composefs= on the kernel command line"
		}
		if strings.HasPrefix(arg, "ostree=") {
			return false
		}
	}
	if src := p.rootSource(); strings.HasPrefix(src, "composefs:") || strings.HasPrefix(src, "transient:composefs=") {
		digest, from = src[strings.IndexAny(src, ":")+1:], "the root is mounted from "+src
		digest = strings.TrimPrefix(digest, "composefs=")
	}
	if digest == "" {
		return false
	}
	d.Kind, d.Composefs, d.Checksum = Bootc, true, digest
	say("%s, and no ostree=: bootc's composefs storage", from)
	return true
}

// rootSource returns the mount source of / in mountinfo, proc(5).
func (p probe) rootSource() string {
	source := ""
	for _, m := range p.mounts() {
		if m.at == "/" {
			source = m.source
		}
	}
	return source
}

type mount struct{ root, at, fstype, source string }

func (p probe) mounts() []mount {
	var out []mount
	for line := range strings.Lines(p.read("proc/self/mountinfo")) {
		left, right, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(g) < 2 {
			continue
		}
		out = append(out, mount{f[3], f[4], g[0], g[1]})
	}
	return out
}

var snapshotRoot = pattern.Lazy(`/\.snapshots/([0-9]+)/snapshot$`)

func (p probe) transactional(d *Detection, say func(string, ...any)) bool {
	if !p.has("usr/sbin/transactional-update") {
		return false
	}
	for _, m := range p.mounts() {
		if n := snapshotRoot().FindStringSubmatch(m.root); m.at == "/" && m.fstype == "btrfs" && n != nil {
			d.Kind, d.Checksum = Transactional, n[1]
			say("the root is btrfs snapshot %s, and transactional-update is installed", n[1])
			return true
		}
	}
	say("transactional-update is installed, but the root is no btrfs snapshot")
	return false
}

func (p probe) rauc(d *Detection, say func(string, ...any)) bool {
	for _, conf := range []string{"etc/rauc/system.conf", "usr/lib/rauc/system.conf"} {
		if !p.has(conf) {
			continue
		}
		d.Kind = RAUC
		say("/%s: RAUC slots", conf)
		if p.has("usr/bin/steamos-update") {
			d.Kind = SteamOS
			say("/usr/bin/steamos-update drives them")
		}
		return true
	}
	return false
}

func (p probe) sysupdate(d *Detection, say func(string, ...any)) bool {
	for _, dir := range []string{"etc/sysupdate.d", "run/sysupdate.d", "usr/lib/sysupdate.d"} {
		for _, glob := range []string{"*.transfer", "*.conf"} {
			found, _ := filepath.Glob(filepath.Join(p.path(dir), glob)) // the pattern is constant: no error
			if len(found) > 0 && p.packageManager() != "" && p.osRelease("IMAGE_VERSION") == "" {
				say("/%s/%s: systemd-sysupdate transfers, but packages make this system: os-release has no IMAGE_VERSION", dir, filepath.Base(found[0]))
				return false
			}
			if len(found) > 0 {
				d.Kind = Sysupdate
				say("/%s/%s: systemd-sysupdate transfers", dir, filepath.Base(found[0]))
				return true
			}
		}
	}
	return false
}

func (p probe) snapd(cmdline []string, d *Detection, say func(string, ...any)) bool {
	for _, arg := range cmdline {
		if strings.HasPrefix(arg, "snap_core=") || strings.HasPrefix(arg, "snapd_recovery_mode=") {
			d.Kind = Snapd
			say("%s on the kernel command line: Ubuntu Core", arg)
			return true
		}
	}
	if p.osRelease("ID") == "ubuntu-core" {
		d.Kind = Snapd
		say("os-release says ubuntu-core")
		return true
	}
	return false
}

// osRelease returns a key of os-release(5), or "".
func (p probe) osRelease(key string) string {
	keys, err := osrelease.Read(p.root)
	if err != nil {
		return ""
	}
	return keys[key]
}

// packageManager returns the command that updates a host that is not image-based.
func (p probe) packageManager() string {
	for _, m := range []struct{ file, command string }{
		{"usr/bin/apt-get", "apt update && apt full-upgrade"},
		{"usr/bin/dnf5", "dnf upgrade"},
		{"usr/bin/dnf", "dnf upgrade"},
		{"usr/bin/zypper", "zypper update"},
		{"usr/bin/pacman", "pacman -Syu"},
		{"sbin/apk", "apk upgrade"},
		{"usr/bin/xbps-install", "xbps-install -Su"},
	} {
		if p.has(m.file) {
			return m.command
		}
	}
	return ""
}

// managers lists the enabled units that update a host automatically.
func (p probe) managers() []string {
	var out []string
	for _, unit := range []string{
		"zincati.service", "flightctl-agent.service", "machine-config-daemon-firstboot.service", "bootc-fetch-apply-updates.timer",
		"rpm-ostreed-automatic.timer", "uupd.timer", "ublue-update.timer", "transactional-update.timer", "systemd-sysupdate.timer",
		"eos-autoupdater.timer",
	} {
		if p.link("etc/systemd/system/"+unit) == "/dev/null" {
			continue // masked
		}
		for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system"} {
			found, _ := filepath.Glob(filepath.Join(p.path(dir), "*.wants", unit)) // the pattern is constant: no error
			if len(found) > 0 {
				out = append(out, unit)
				break
			}
		}
	}
	return out
}

// RootSource returns the device or name that is mounted as / of the system below root;
// empty without /proc.
func RootSource(root string) string { return probe{root}.rootSource() }
