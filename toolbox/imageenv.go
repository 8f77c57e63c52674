package toolbox

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/variables"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// OverImageEnv returns the names that a toolbox does not take from the image's
// environment, and its PATH. All other variables stay. A user can set one of them with
// create --env.
func (p *Plan) OverImageEnv() (unset []string, path string) {
	dirs := boxinit.SystemPath
	for _, kv := range p.ImageEnv {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case name == "PATH":
			dirs = p.imagePath(value)
		case ActsOnPrograms(name):
			unset = append(unset, name)
		}
	}
	return unset, strings.Join(dirs, ":")
}

// ActsOnPrograms reports whether a variable acts on programs that do not ask for it, or
// connects tbx's own parts.
func ActsOnPrograms(name string) bool {
	return variables.ActsOnPrograms(name) || strings.HasPrefix(name, "TBX_")
}

// imagePath puts the system's directories before those of an image's PATH. From the
// latter it leaves out those that are not the image's own: relative ones, which depend on
// the current directory, and those that the host or a session fills.
func (p *Plan) imagePath(value string) []string {
	foreign := []string{"/dev", "/home", "/proc", "/run", "/sys", "/tmp", "/var/tmp"}
	for _, m := range p.Mounts {
		foreign = append(foreign, m.Target)
	}
	out := slices.Clone(boxinit.SystemPath)
	for _, dir := range filepath.SplitList(value) {
		dir = filepath.Clean(dir)
		below := func(f string) bool { return join.Below(dir, f) }
		if filepath.IsAbs(dir) && !slices.Contains(out, dir) && !slices.ContainsFunc(foreign, below) {
			out = append(out, dir)
		}
	}
	return out
}
