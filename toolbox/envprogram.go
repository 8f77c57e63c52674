package toolbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/variables"
)

// late returns the value of a variable that names a program, judged by the session's
// environment.
func (j *judge) late(v variables.Variable, value string, env []string) (string, bool) {
	if v.Meaning == variables.Filter { // "|", "||" and "-" say how less reads from it, less(1)
		command := strings.TrimLeft(value, "|- ")
		inside, ok := j.program(command, env)
		return strings.TrimSuffix(value, command) + inside, ok
	}
	if v.Name != "BROWSER" {
		return j.program(value, env)
	}
	return list(value, func(command string) (string, bool) { return j.program(command, env) }) // the first that is found
}

// plain reports whether the shell takes a word literally.
func plain(word string) bool {
	return word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+@%:,-") == ""
}

// assignment reports whether a word sets a variable, as words before a command may.
func assignment(word string) bool {
	name, value, ok := strings.Cut(word, "=")
	return ok && plain(name) && !strings.ContainsAny(name, "./+@%:,-") && (value == "" || plain(value))
}

// builtins are words that every shell knows.
var builtins = []string{":", ".", "exec", "eval", "command", "builtin", "test", "[", "true", "false", "cd"}

// program returns a command line if its program is found inside; a program in another
// place is called by its name. Text that only a shell can read stays as it is.
func (j *judge) program(value string, env []string) (string, bool) {
	before, word, after := firstWord(value)
	name := word
	if n := len(word); n > 1 && (word[0] == '\'' || word[0] == '"') && word[n-1] == word[0] {
		name = word[1 : n-1]
	}
	if !plain(name) && name == word || strings.ContainsAny(name, "$`\\") || slices.Contains(builtins, name) {
		return value, true
	}
	if script, ok := strings.CutPrefix(strings.TrimSpace(after), "-c "); ok && !j.scriptRuns(script, env) {
		return "", false
	}
	if !filepath.IsAbs(name) {
		known := strings.ContainsRune(name, '/') || j.inside == nil || j.inside.LookPath(name, env, "/") == nil
		return value, known
	}
	inside, ok := j.shared(name)
	switch {
	case j.inside == nil:
		return before + inside + after, ok
	case ok && inside != name && j.inside.LookPath(inside, env, "/") == nil:
		return before + inside + after, true
	case j.inside.LookPath(name, env, "/") == nil:
		return value, true
	case !ok && j.inside.LookPath(filepath.Base(name), env, "/") == nil:
		return before + filepath.Base(name) + after, true
	}
	return "", false
}

// scriptRuns says whether the commands of a line for a shell, as far as they can be told
// from its pipes, are there inside. One that the host has not either is none.
func (j *judge) scriptRuns(script string, env []string) bool {
	for part := range strings.SplitSeq(script, "|") {
		_, word, _ := firstWord(strings.TrimLeft(part, `'" `))
		word = strings.TrimRight(word, `'"`)
		if j.inside == nil || !plain(word) || strings.ContainsRune(word, '/') || j.inside.LookPath(word, env, "/") == nil {
			continue
		}
		for _, dir := range filepath.SplitList(lookup(j.caller, "PATH")) {
			if st, err := os.Stat(filepath.Join(dir, word)); err == nil && st.Mode()&0o111 != 0 && st.Mode().IsRegular() {
				return false
			}
		}
	}
	return true
}

// firstWord takes a command line apart at its program.
func firstWord(line string) (before, word, after string) {
	rest := line
	for {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, " \t")
		if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
			if close := strings.IndexByte(rest[1:], rest[0]); close >= 0 {
				end = close + 2
			}
		}
		if end < 0 || end >= len(rest) {
			return line[:len(line)-len(rest)], rest, ""
		}
		if !assignment(rest[:end]) {
			return line[:len(line)-len(rest)], rest[:end], rest[end:]
		}
		rest = rest[end:]
	}
}

// activated says whether the interpreter of an activated environment runs inside. If
// not, its directories leave PATH, and what goes along with it does not come.
func (j *judge) activated(name, dir string) (string, bool) {
	inside, ok := j.place(dir, nil)
	if ok && (j.inside == nil || j.interpreterRuns(name, inside)) {
		return inside, true
	}
	j.left, j.gone = append(j.left, filepath.Clean(dir)), append(j.gone, name)
	return "", false
}

func (j *judge) interpreterRuns(name, dir string) bool {
	switch name {
	case "VIRTUAL_ENV", "PYENV_VIRTUAL_ENV":
		real, ok := j.inside.Runs(filepath.Join(dir, "bin/python"))
		if !ok {
			return false
		}
		// An environment is of one version: with another, its packages are not found.
		version := pythonVersion(filepath.Base(real))
		return version == "" || j.inside.Exists(filepath.Join(dir, "lib", version))
	case "CONDA_PREFIX":
		if _, ok := j.inside.Runs(filepath.Join(dir, "bin/python")); ok {
			return true
		}
		return !j.inside.Exists(filepath.Join(dir, "bin/python")) && j.inside.Exists(filepath.Join(dir, "conda-meta"))
	}
	program := map[string]string{
		"NVM_BIN": "node", "FNM_MULTISHELL_PATH": "bin/node", "MY_RUBY_HOME": "bin/ruby", "RUBY_ROOT": "bin/ruby",
		"OPAM_SWITCH_PREFIX": "bin/ocaml",
	}[name]
	_, ok := j.inside.Runs(filepath.Join(dir, program))
	return ok
}

// pythonVersion is the beginning of an interpreter's name, such as python3.11, which is
// also the name of its directory of packages; "" where the name has no version.
func pythonVersion(program string) string {
	rest := strings.TrimLeft(program, "abcdefghijklmnopqrstuvwxyz")
	major, minor, ok := strings.Cut(rest, ".")
	digits := minor[:len(minor)-len(strings.TrimLeft(minor, "0123456789"))]
	if !ok || major == "" || digits == "" {
		return ""
	}
	return program[:len(program)-len(rest)] + major + "." + digits
}

// shimsWork says whether a directory of PATH is of use inside. That of pyenv, rbenv and
// their kin holds scripts, which call one of the interpreters beside it.
func (j *judge) shimsWork(dir string) bool {
	root := filepath.Dir(dir)
	if filepath.Base(dir) != "shims" {
		return true
	}
	program := map[string]string{".pyenv": "python", "pyenv": "python", ".rbenv": "ruby", "rbenv": "ruby",
		".nodenv": "node", "nodenv": "node"}[filepath.Base(root)]
	if program == "" {
		return true
	}
	found, runs := false, false
	versions, _ := filepath.Glob(filepath.Join(root, "versions/*/bin", program)) // shared: the same on the host
	for _, path := range versions {
		_, ok := j.inside.Runs(path)
		found, runs = true, runs || ok
	}
	return runs || !found
}
