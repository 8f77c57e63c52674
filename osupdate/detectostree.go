package osupdate

import (
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
)

// ostree recognises the OSTree family, and distinguishes its members by the booted
// deployment's origin.
func (p probe) ostree(cmdline []string, d *Detection, say func(string, ...any)) bool {
	karg := ""
	for _, arg := range cmdline {
		if v, ok := strings.CutPrefix(arg, "ostree="); ok {
			karg = v
		}
	}
	switch {
	case p.has("run/ostree-booted"):
		say("/run/ostree-booted: booted by OSTree")
	case karg != "":
		say("ostree=%s on the kernel command line", karg)
	default:
		return false
	}
	origin := p.bootedOrigin(karg, d)
	tools := ostreeTools{
		rpmostree: p.has("usr/bin/rpm-ostree"), bootc: p.has("usr/bin/bootc"), ostree: p.has("usr/bin/ostree"),
		eos: p.has("usr/share/dbus-1/system-services/com.endlessm.Updater.service"),
	}
	d.Kind = ostreeMember(origin, tools, say)
	return true
}

type ostreeTools struct{ rpmostree, bootc, ostree, eos bool }

func ostreeMember(origin *Origin, t ostreeTools, say func(string, ...any)) Kind {
	image := origin != nil && origin.Get("origin", "container-image-reference") != ""
	switch {
	case origin == nil:
		say("the booted deployment's origin file cannot be read")
	case origin.Changed():
		say("its origin has layered, removed or replaced packages")
		if t.rpmostree {
			return RPMOSTree
		}
	case image:
		say("its origin is the container image %s", origin.Tracks())
		if t.bootc {
			return Bootc
		}
	default:
		say("its origin is the ref %q", origin.Tracks())
	}
	switch {
	case t.rpmostree:
		say("/usr/bin/rpm-ostree is installed")
		return RPMOSTree
	case t.eos:
		say("com.endlessm.Updater can be started")
		return EOS
	case t.ostree:
		say("of the family only /usr/bin/ostree is installed")
		return OSTree
	case t.bootc:
		say("of the family only /usr/bin/bootc is installed")
		return Bootc
	}
	say("none of rpm-ostree, bootc, ostree is installed: only reading is possible")
	return OSTree
}

var (
	deploymentDir   = pattern.Lazy(`^([0-9a-f]{64})\.[0-9]+$`)
	deploymentMount = pattern.Lazy(`/ostree/deploy/([^/]+)/deploy/(([0-9a-f]{64})\.[0-9]+)(/etc)?$`)
)

// bootedOrigin reads the origin of the running deployment, from which / or, on composefs,
// /etc is mounted. If the mounts do not tell, it follows
// ostree=/ostree/boot.N/<stateroot>/<boot checksum>/<serial> of the kernel's command
// line, a link to the deployment, step by step, so that nothing leads out of the root.
// After a change of the next boot that link is gone, or leads elsewhere.
func (p probe) bootedOrigin(karg string, d *Detection) *Origin {
	for _, m := range p.mounts() {
		if f := deploymentMount().FindStringSubmatch(m.root); f != nil && (m.at == "/" && f[4] == "" || m.at == "/etc" && f[4] == "/etc") {
			d.Stateroot = f[1]
			return p.origin(f[2], f[3], d, "sysroot", "")
		}
	}
	parts := strings.Split(strings.Trim(karg, "/"), "/")
	if len(parts) < 4 {
		return nil
	}
	d.Stateroot = parts[len(parts)-3]
	for _, base := range []string{"", "sysroot"} {
		target := p.link(filepath.Join(base, karg))
		if target == "" { // boot.N is itself a link to boot.N.M
			if boot := p.link(filepath.Join(base, "ostree", parts[1])); boot != "" {
				target = p.link(filepath.Join(base, "ostree", filepath.Base(boot), strings.Join(parts[2:], "/")))
			}
		}
		if m := deploymentDir().FindStringSubmatch(filepath.Base(target)); m != nil {
			if o := p.origin(m[0], m[1], d, base); o != nil {
				return o
			}
		}
	}
	return nil
}

// origin reads the origin file of the deployment name, in the first of the sysroots that
// has it.
func (p probe) origin(name, checksum string, d *Detection, sysroots ...string) *Origin {
	d.Checksum = checksum
	for _, base := range sysroots {
		d.OriginPath = filepath.Join("/", base, "ostree/deploy", d.Stateroot, "deploy", name+".origin")
		if o, err := ParseOrigin([]byte(p.read(d.OriginPath))); err == nil && len(o.Groups) > 0 {
			return o
		}
	}
	return nil
}
