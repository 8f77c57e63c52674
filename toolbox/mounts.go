package toolbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// mountPoint is one line of mountinfo, proc_pid_mountinfo(5).
type mountPoint struct{ dev, root, point string }

// parseMounts parses mountinfo. It touches no file system, so one that does not answer,
// such as that of a missing server, does no harm.
func parseMounts(text string) []mountPoint {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var out []mountPoint
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 6 {
			out = append(out, mountPoint{dev: f[2], root: unescape.Replace(f[3]), point: unescape.Replace(f[4])})
		}
	}
	return out
}

// deleted ends the root of a mount whose directory was removed since: nobody can write
// there any more, and it cannot be attached anywhere, move_mount(2).
const deleted = "//deleted"

// lacking returns what the host has mounted below what b shares and b has not: crun 1.8
// leaves such mounts out with the user namespace that toolboxes have, and then programs
// write below them. Of a mount and those below it only the first is named. But for own,
// which are the toolbox's.
func lacking(b *Box, host, inside []mountPoint, own []boxinit.Place) []boxinit.Attach {
	var out []boxinit.Attach
	for _, m := range host {
		target, ok := sharedPoint(b, m.point)
		if !ok || strings.HasSuffix(m.root, deleted) ||
			slices.ContainsFunc(own, func(p boxinit.Place) bool { return join.Below(target, p.Path) }) {
			continue
		}
		if slices.ContainsFunc(out, func(a boxinit.Attach) bool { return join.Below(m.point, a.Host) }) {
			continue
		}
		if !slices.ContainsFunc(inside, func(i mountPoint) bool { return i.point == target && i.dev == m.dev && i.root == m.root }) {
			out = append(out, boxinit.Attach{Host: m.point, Path: target})
		}
	}
	return out
}

// sharedPoint returns the place inside of a mount point of the host, if b shares a
// directory above it with all mounts below.
func sharedPoint(b *Box, point string) (string, bool) {
	var best *Mapping
	for i, mt := range b.Mounts {
		if mt.Source != "/" && point != mt.Source && join.Below(point, mt.Source) && (best == nil || len(mt.Source) > len(best.Source)) {
			best = &b.Mounts[i]
		}
	}
	if best == nil || best.Target == boxinit.BoxDir || best.Target == "/dev" || b.plainBind(best.Target) {
		return "", false
	}
	return filepath.Join(best.Target, strings.TrimPrefix(point, best.Source)), true
}

// plainBind reports whether the user asked for a volume without the mounts below it.
func (b *Box) plainBind(target string) bool {
	return slices.ContainsFunc(b.Spec.Volumes, func(v string) bool {
		mt, err := ParseVolume(v)
		return err == nil && mt.Target == target && !slices.Contains(mt.Options, "rbind")
	})
}

// lackingMounts is lacking for a running toolbox.
func (m *Manager) lackingMounts(b *Box, own []boxinit.Place) []boxinit.Attach {
	if b.Spec.Isolated {
		return nil
	}
	host, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	inside, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", b.PID))
	if err != nil {
		m.debug("the mounts of toolbox %s cannot be read: %v", b.Name, err)
		return nil
	}
	return lacking(b, parseMounts(string(host)), parseMounts(string(inside)), own)
}
