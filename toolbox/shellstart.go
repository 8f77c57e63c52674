package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// tbx has its own start files for shells, in the directory that every toolbox mounts. A
// session leads its shells there: by PROMPT_COMMAND for bash, by ZDOTDIR for zsh.

// promptCommand runs at each prompt of bash. prompt.bash compares it with exactly this
// text.
const promptCommand = ". " + boxinit.ShellDir + "/prompt.bash 2>/dev/null"

// setStart sets these variables. A ZDOTDIR that is set already is the user's; the first
// file that zsh reads restores it.
func setStart(env *environ, r *join.Record) {
	if r.Start == "" {
		return
	}
	env.set("PROMPT_COMMAND", promptCommand)
	if user := env.get("ZDOTDIR"); user != "" {
		env.set("TBX_ZDOTDIR", user)
	}
	env.set("ZDOTDIR", filepath.Join(r.Start, "zsh"))
}

// startDir returns where a toolbox sees those files, which are in the host's directory
// boxes: by the host's path if that is shared. Then a variable that reaches the host's
// zsh (by a service manager that takes over a session's environment) finds the same files
// there.
func startDir(r *join.Record, boxes string) string {
	host := filepath.Join(boxes, filepath.Base(boxinit.ShellDir))
	if r.SamePath(host) {
		return host
	}
	return boxinit.ShellDir
}

// ownFiles writes tbx's files that belong into the mounted directory to boxes on the
// host, and returns the others, which the initialiser puts in place.
//
// Among them are scripts of one line with the names of boxinit.FirstNames: the kernel
// passes them to tbx-box, which so knows that it is not called as a shim of that name.
func (m *Manager) ownFiles(boxes, version string) ([]ShellFile, error) {
	var inside []ShellFile
	files := slices.Clone(m.Files)
	for _, name := range boxinit.FirstNames() {
		line := "#!" + filepath.Join(boxinit.BoxDir, version, "tbx-box") + " first\n"
		files = append(files, ShellFile{Path: boxinit.FirstDir + "/" + name, Content: line, Mode: 0o755})
	}
	for _, f := range files {
		rel, mounted := strings.CutPrefix(f.Path, boxinit.BoxDir+"/")
		if !mounted {
			inside = append(inside, f)
			continue
		}
		path := filepath.Join(boxes, rel)
		if old, err := os.ReadFile(path); err == nil && string(old) == f.Content {
			continue
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = atomicfile.Write(path, []byte(f.Content), os.FileMode(f.Mode))
		}
		if err != nil {
			return nil, fail.Wrap(nil, err, "the start files for shells in toolboxes cannot be installed").
				Hint("make %s writable", boxes)
		}
	}
	return inside, nil
}

// helped returns the call of a command that the toolbox helps, see boxinit.First, also of
// one that was installed after the toolbox was started.
func (p *Session) helped(args []string) []string {
	own := boxinit.FirstDir + "/" + args[0]
	if p.opts.Root || p.Record.Isolated || !slices.Contains(boxinit.FirstNames(), args[0]) ||
		p.target == nil || p.target.LookPath("/usr/bin/"+args[0], nil, "/") != nil || p.target.LookPath(own, nil, "/") != nil {
		return args
	}
	return append([]string{own}, args[1:]...)
}
