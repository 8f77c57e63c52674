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

// What shells read when they start is in files of tbx's own, in the directory that
// every toolbox mounts. A session leads its shells there: by PROMPT_COMMAND for bash,
// by ZDOTDIR for zsh.

// promptCommand is what bash does at each prompt. prompt.bash compares it with this
// very text.
const promptCommand = ". " + boxinit.ShellDir + "/prompt.bash 2>/dev/null"

// setStart adds these variables. A ZDOTDIR that reached the session is the user's,
// and is given back by the first file that zsh reads.
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

// startDir is where a toolbox sees those files, which are in the directory boxes of the host: by their path on the host where that
// is shared, so that a variable which gets to the host's zsh (by a service manager that
// takes a session's environment over) leads to the same files there.
func startDir(r *join.Record, boxes string) string {
	host := filepath.Join(boxes, filepath.Base(boxinit.ShellDir))
	if r.SamePath(host) {
		return host
	}
	return boxinit.ShellDir
}

// ownFiles puts those of tbx's files into the directory boxes of the host, where toolboxes find them that are below the
// mounted directory, and returns the others, which the initialiser puts in place.
//
// Among them are scripts by the names of boxinit.FirstNames, of one line: the kernel
// hands them to tbx-box, which so knows that it is not called as a shim of that name.
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
			return nil, fail.Wrap(nil, err, "what shells in toolboxes read cannot be installed").
				Hint("make %s writable", boxes)
		}
	}
	return inside, nil
}

// helped is the call of a command that the toolbox helps, see boxinit.First, also of one
// that was installed since the toolbox was started.
func (p *Session) helped(args []string) []string {
	own := boxinit.FirstDir + "/" + args[0]
	if p.opts.Root || p.Record.Isolated || !slices.Contains(boxinit.FirstNames(), args[0]) ||
		p.target == nil || p.target.LookPath("/usr/bin/"+args[0], nil, "/") != nil || p.target.LookPath(own, nil, "/") != nil {
		return args
	}
	return append([]string{own}, args[1:]...)
}
