package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// takenBy reports whether the owner has a volume at a path that is not the host's
// directory of the same path.
func (s *Spec) takenBy(path string) bool {
	return slices.ContainsFunc(s.Volumes, func(v string) bool {
		mt, err := ParseVolume(v)
		return err == nil && join.Below(path, mt.Target) && mt.Source+strings.TrimPrefix(path, mt.Target) != path
	})
}

// volumeTargets returns the targets of the owner's volumes.
func (s *Spec) volumeTargets() []string {
	var out []string
	for _, v := range s.Volumes {
		if mt, err := ParseVolume(v); err == nil {
			out = append(out, mt.Target)
		}
	}
	return out
}

// checkTarget refuses a volume at a place where it would be hidden, or where no runtime
// can make a mount point.
func checkTarget(s *Spec, mt Mount) error {
	const nowhere = "there is no mount point, and none can be made"
	why := ""
	switch {
	case join.Below(mt.Target, boxinit.HostView) && !s.Isolated && s.Has(integration.HostView):
		why = "the host's files are shown there"
	case join.Below(mt.Target, "/proc"), join.Below(mt.Target, "/sys"):
		if _, err := os.Lstat(mt.Target); err != nil {
			why = nowhere
		}
	case join.Below(mt.Target, "/dev") && !s.Isolated && s.Has(integration.Devices) && !canBeMade(mt.Target):
		why = nowhere
	}
	if why == "" {
		return nil
	}
	return fail.New(fail.Usage, "nothing can be mounted at %s in a toolbox: %s", escape.Text(mt.Target), why).
		Hint("choose another place, such as /mnt/%s", filepath.Base(mt.Target))
}

// canBeMade reports whether a path of the host exists, or this user may make it.
func canBeMade(path string) bool {
	if _, err := os.Lstat(path); err == nil {
		return true
	}
	dir := filepath.Dir(path)
	for dir != "/" && unix.Access(dir, unix.F_OK) != nil {
		dir = filepath.Dir(dir)
	}
	return unix.Access(dir, unix.W_OK) == nil
}

// makeMountPoints makes mount points for volumes in shared directories. A runtime would
// make them as a user of the toolbox who is nobody here: in /tmp the owner could not
// remove them again.
func (m *Manager) makeMountPoints(b *Box) {
	for _, v := range b.Spec.Volumes {
		mt, err := ParseVolume(v)
		if err != nil {
			continue
		}
		path, ok := b.hostPath(mt.Target)
		if !ok {
			continue
		}
		if fi, err := os.Stat(mt.Source); filepath.IsAbs(mt.Source) && err == nil && !fi.IsDir() {
			os.MkdirAll(filepath.Dir(path), 0o755)
			if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
				f.Close()
			}
			continue
		}
		os.MkdirAll(path, 0o755) // else the runtime tries, and reports its error
	}
}

// hostPath returns the host's path of a path inside, ignoring the volumes, if it is below
// a shared directory.
func (b *Box) hostPath(target string) (string, bool) {
	best := Mapping{}
	for _, mt := range b.Mounts {
		if mt.Source != "/" && filepath.IsAbs(mt.Source) && mt.Target != target && join.Below(target, mt.Target) &&
			len(mt.Target) > len(best.Target) {
			best = mt
		}
	}
	if best.Target == "" || best.Target == "/dev" || slices.Contains(best.Options, "ro") {
		return "", false
	}
	return best.Source + strings.TrimPrefix(target, best.Target), true
}

// checkSources finds a missing source before podman does, and explains it.
func checkSources(p *Plan) error {
	for _, mt := range p.Mounts {
		if mt.Type != "bind" {
			continue
		}
		_, err := os.Stat(mt.Source)
		if err == nil {
			continue
		}
		e := fail.Wrap(fail.NotFound, err, "%s cannot be mounted (%s)", mt.Source, mt.Reason)
		if to, lerr := os.Readlink(mt.Source); lerr == nil { // mkdir would not make its target
			return e.Hint("it is a link to %s: make that, or remove the link", escape.Text(to))
		}
		return e.Hint("make it with: mkdir -p %s", mt.Source)
	}
	return nil
}
