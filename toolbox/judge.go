package toolbox

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/helper"
	"github.com/tbx-project/tbx/toolbox/join"
)

// wantedMount is a mount that an isolated toolbox was made with.
type wantedMount struct {
	target string
	source string // on the host
	at     *place // nil: only podman knows what is there
	set    uint64 // options that it must have, MOUNT_ATTR_RDONLY and the like
	below  bool   // mounts of the host below the source may be there as well
}

// mountTree is the mounts of a process.
type mountTree struct {
	lines []boxinit.MountLine
	root  *boxinit.MountLine
	owner map[int]*wantedMount // by the number of a mount: the wanted mount that it is, or is a part of
	own   func(boxinit.MountLine) bool
}

// judgeMounts compares the present mounts with the wanted ones. Each wanted mount must be
// at its own place, come from its own source, and not be hidden. No other mount is
// allowed, except those that own accepts as the container engine's. It returns the
// options that mounts lack.
func judgeMounts(lines []boxinit.MountLine, want []*wantedMount, own func(boxinit.MountLine) bool) ([]helper.MountOptions, error) {
	t := &mountTree{lines: lines, owner: map[int]*wantedMount{}, own: own}
	for i := range lines {
		if lines[i].Point == "/" {
			if t.root != nil {
				return nil, fmt.Errorf("something is mounted over its root")
			}
			t.root = &lines[i]
		}
	}
	if t.root == nil {
		return nil, fmt.Errorf("its mounts cannot be seen")
	}
	for _, w := range want {
		if err := t.find(w); err != nil {
			return nil, err
		}
	}
	for again := true; again; { // a line may come before its parent's
		again = false
		for _, l := range lines {
			if w := t.owner[l.Parent]; w != nil && t.owner[l.ID] == nil && w.below && join.Below(l.Point, w.target) {
				t.owner[l.ID], again = w, true
			}
		}
	}
	for _, w := range want {
		if err := t.seen(w); err != nil {
			return nil, err
		}
	}
	for _, l := range lines {
		if l.ID != t.root.ID && t.owner[l.ID] == nil && !own(l) {
			return nil, fmt.Errorf("%s is mounted at %s, but the toolbox was not made with that", l.Root, l.Point)
		}
	}
	return t.missing(), nil
}

// way returns the mounts that lead from the root to a path.
func (t *mountTree) way(path string) []boxinit.MountLine {
	out := []boxinit.MountLine{*t.root}
	for len(out) <= len(t.lines) {
		at := out[len(out)-1]
		next := -1
		for i, l := range t.lines { // a walk along the path meets the shortest first
			if l.Parent == at.ID && l.ID != at.ID && join.Below(path, l.Point) && (next < 0 || len(l.Point) < len(t.lines[next].Point)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		out = append(out, t.lines[next])
	}
	return out
}

// find finds a wanted mount at its place.
func (t *mountTree) find(w *wantedMount) error {
	for _, l := range t.way(w.target) {
		if l.Point != w.target {
			continue
		}
		if w.at != nil && (l.Device != w.at.device || l.Root != w.at.path()) {
			return fmt.Errorf("%s, which the toolbox shares, is no longer the same directory: %s", w.source, l.Root)
		}
		t.owner[l.ID] = w
		return nil
	}
	where := ": a link is on the way to it"
	for _, l := range t.lines {
		switch {
		case w.at == nil || l.Device != w.at.device || l.Root != w.at.path():
		case l.Point == w.target:
			where = ": something else is mounted on the way to it"
		default:
			where = " but at " + l.Point + where
		}
	}
	return &misplaced{w.source, w.target, where}
}

// misplaced is the error of a mount at a wrong place.
type misplaced struct{ source, target, where string }

func (e *misplaced) Error() string {
	return fmt.Sprintf("%s is not mounted at %s%s", e.source, e.target, e.where)
}

// seen reports an error if a foreign mount is on the way to a wanted mount, or on it.
func (t *mountTree) seen(w *wantedMount) error {
	for _, l := range t.way(w.target)[1:] {
		if t.owner[l.ID] == nil || l.Point == w.target && t.owner[l.ID] != w {
			return fmt.Errorf("%s is mounted at %s, on the way to %s", l.Root, l.Point, w.target)
		}
	}
	return nil
}

// missing returns the options that visible mounts lack.
func (t *mountTree) missing() []helper.MountOptions {
	var out []helper.MountOptions
	for _, l := range t.lines {
		w := t.owner[l.ID]
		if w == nil {
			continue
		}
		if way := t.way(l.Point); way[len(way)-1].ID != l.ID {
			continue
		}
		if lacks := w.set &^ attributes(l.Options); lacks != 0 {
			out = append(out, helper.MountOptions{Point: l.Point, Set: lacks})
		}
	}
	return out
}

// attributes returns mount options as attributes of mount_setattr(2).
func attributes(options []string) uint64 {
	var set uint64
	for name, bit := range map[string]uint64{"ro": unix.MOUNT_ATTR_RDONLY, "nosuid": unix.MOUNT_ATTR_NOSUID,
		"nodev": unix.MOUNT_ATTR_NODEV, "noexec": unix.MOUNT_ATTR_NOEXEC} {
		if slices.Contains(options, name) {
			set |= bit
		}
	}
	return set
}

// enginesOwn accepts the mounts that every container has: the kernel's file systems and
// devices, podman's own files for this container, a distribution's files for every
// container, and the driver of a GPU.
func enginesOwn(c *Container, gpu bool) func(boxinit.MountLine) bool {
	return func(l boxinit.MountLine) bool {
		in := func(dirs ...string) bool {
			return slices.ContainsFunc(dirs, func(d string) bool { return join.Below(l.Point, d) })
		}
		switch {
		case in(filepath.Dir(boxinit.BoxDir)):
			return false
		case in("/proc", "/sys", "/dev"):
			return true
		case strings.Contains(l.Root, "/"+c.ID+"/userdata/"):
			return true
		case in("/run/secrets", "/etc/system-fips", "/etc/crypto-policies"): // of RHEL and Fedora: containers-mounts.conf(5)
			return true
		}
		return gpu
	}
}
