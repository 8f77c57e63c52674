package profile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// look is one shell with its snippet.
type look struct {
	name, program string
	args          []string
	show          string // prints the prompt, after two prompts' worth of hooks
}

var looks = []look{
	{"bash", "bash", []string{"--norc", "--noprofile"}, `PS1='\u> '; PROMPT_COMMAND='true;'; . "$DIR/profile.d/tbx.sh"; . "$DIR/profile.d/tbx.sh"
		eval "$PROMPT_COMMAND"; eval "$PROMPT_COMMAND"; eval "printf %s \"$PS1\""`},
	{"dash", "dash", nil, `PS1='\u> '; . "$DIR/profile.d/tbx.sh"; . "$DIR/profile.d/tbx.sh"; eval "printf %s \"$PS1\""`},
	{"zsh", "zsh", []string{"-f"}, `PS1='\u> '; . "$DIR/shell/tbx.zsh"; . "$DIR/shell/tbx.zsh"; for h in 1 2; do for f in $precmd_functions; do $f; done; done; printf %s "$PS1"`},
	{"fish", "fish", []string{"--no-config"}, `function fish_prompt; printf %s '\u> '; end; source $DIR/fish/conf.d/tbx.fish; source $DIR/fish/conf.d/tbx.fish; emit fish_prompt; emit fish_prompt; fish_prompt`},
}

// place puts the snippets below dir, where they look for a toolbox's files too.
func place(t *testing.T, dir string) {
	t.Helper()
	inside := strings.NewReplacer("/run/.toolboxenv", dir+"/mark", "/run/tbx/state", dir+"/state", "/run/tbx/box/shell", dir+"/shell", "/run/tbx/box/", dir+"/")
	for _, f := range Files() {
		path := strings.Replace(inside.Replace(f.Path), "/etc/", dir+"/", 1)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if !f.Undo {
			write(t, path, inside.Replace(f.Content))
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// run runs a shell in dir with these variables and nothing else.
func run(t *testing.T, dir string, env []string, program string, args ...string) (out, errs string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "DIR=" + dir}, env...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(data), stderr.String()
}

// TestSnippets reads each snippet in its shell, interactive and not, and looks
// at the prompt that comes of it. The mark of a toolbox is a file of the test's.
func TestD42_Snippets(t *testing.T) {
	const name = "⬢ it's-$(id)-50% "
	in := []string{"TERM=xterm", "TBX_TOOLBOX=web", "TBX_PROMPT=" + name}
	for _, s := range looks {
		t.Run(s.name, func(t *testing.T) {
			shell, dir := program(t, s.program), t.TempDir()
			place(t, dir)
			seen := name
			if s.name == "zsh" {
				seen = strings.ReplaceAll(name, "%", "%%") // as a prompt of zsh has it
			}
			has := func(what string, want int, args []string, env ...string) string {
				t.Helper()
				args = append(append(s.args[:len(s.args):len(s.args)], args...), "-c", s.show)
				out, errs := run(t, dir, env, shell, args...)
				if got := strings.Count(out, seen); got != want || !strings.Contains(out, `\u> `) {
					t.Errorf("%s: prompt %q, the name should be in it %d times", what, out, want)
				}
				if strings.Contains(errs, dir) || strings.Contains(errs, "tbx") {
					t.Errorf("%s: it complains: %s", what, errs)
				}
				return out
			}
			i := []string{"-i"}
			has("on the host", 0, i, in...)
			write(t, dir+"/mark", "")
			has("a container of somebody else's", 0, i, in...)
			os.Mkdir(dir+"/state", 0o755)
			write(t, dir+"/state/name", "web\n")
			has("in a toolbox", 1, i, in...)
			has("in a script", 0, nil, in...)
			has("switched off", 0, i, "TERM=xterm", "TBX_TOOLBOX=web")
			has("switched off, empty", 0, i, "TERM=xterm", "TBX_TOOLBOX=web", "TBX_PROMPT=")
			has("without variables, and switched off", 0, i, "TERM=xterm")
			write(t, dir+"/state/mark", name+"\n")
			has("without variables, as root's shell after sudo", 1, i, "TERM=xterm")
			for _, env := range [][]string{{"TERM=dumb"}, {}, {"TERM=xterm", "NO_COLOR=1"}} {
				out := has(strings.Join(env, " "), 1, i, append(env, in[1:]...)...)
				if strings.ContainsAny(out, "\x1b") || strings.Contains(out, `\033`) || strings.Contains(out, "%F") {
					t.Errorf("with %q: colour in %q", env, out)
				}
			}
			if s.name == "bash" || s.name == "zsh" {
				for term, want := range map[string]bool{"xterm": true, "dumb": false, "": false} {
					out, _ := run(t, dir, append(in[1:], "TBX_TITLE=1", "TERM="+term), shell, append(append(s.args[:len(s.args):len(s.args)], i...), "-c", s.show)...)
					if strings.Contains(out, "\x1b]0;web: ~\a") != want {
						t.Errorf("TERM=%s: title in %q: want %t", term, out, want)
					}
				}
			}
		})
	}
}

// A shell that has no file of tbx's to read but by what a session gives it: the user's
// own files are read, once, and find what they expect; shells started inside come there too.
func TestD41_ReachedByTheSession(t *testing.T) {
	dir := t.TempDir()
	place(t, dir)
	write(t, dir+"/mark", "")
	os.Mkdir(dir+"/state", 0o755)
	write(t, dir+"/state/name", "web\n")
	hook := "PROMPT_COMMAND=. " + dir + "/shell/prompt.bash 2>/dev/null"
	in := []string{"TERM=xterm", "TBX_TOOLBOX=web", "TBX_PROMPT=⬢ web "}

	t.Run("bash", func(t *testing.T) {
		shell := program(t, "bash")
		bash := func(script string) string {
			t.Helper()
			out, errs := run(t, dir, append(in, hook), shell, "--norc", "--noprofile", "-i", "-c", script)
			if strings.Contains(errs, "not found") {
				t.Errorf("it complains: %s", errs)
			}
			return out
		}
		show := `eval "$PROMPT_COMMAND"; eval "printf %s \"$PS1\""`
		if out := bash("PS1='> '; " + show); strings.Count(out, "⬢ web ") != 1 {
			t.Errorf("prompt %q", out)
		}
		// What is added to the hook is kept from shells that do not know it, and the hook is not.
		if out := bash(`eval "$PROMPT_COMMAND"; bash --norc -i -c 'echo "${PROMPT_COMMAND-none}"'`); !strings.Contains(out, "prompt.bash") {
			t.Errorf("a shell started inside has %q", out)
		}
		if out := bash(`f() { :; }; PROMPT_COMMAND="f; $PROMPT_COMMAND"; eval "$PROMPT_COMMAND"; bash --norc -i -c 'echo "${PROMPT_COMMAND-none}"'`); out != "none\n" {
			t.Errorf("the user's own function is handed on: %q", out)
		}
		if out := bash(`false; eval "$PROMPT_COMMAND"; echo $?; (exit 7); eval "$PROMPT_COMMAND"; echo $?`); out != "1\n7\n" {
			t.Errorf("the exit code that a prompt may show is lost: %q", out)
		}
	})

	t.Run("zsh", func(t *testing.T) {
		shell := program(t, "zsh")
		own := dir + "/own"
		os.MkdirAll(own, 0o755)
		for _, home := range []string{dir, own} {
			for _, f := range []string{"zshenv", "zprofile", "zshrc", "zlogin"} {
				write(t, home+"/."+f, "print -r -- "+f+" ${ZDOTDIR-unset}\n")
			}
		}
		const show = `for f in $precmd_functions; do $f; done; print -r -- "$PS1"`
		for _, c := range []struct {
			name string
			env  []string
			args []string
			want string
		}{
			{"login", nil, []string{"-l", "-i", "-c", show}, "zshenv unset|zprofile unset|zshrc unset|zlogin unset|*⬢ web *"},
			{"not login", nil, []string{"-i", "-c", show}, "zshenv unset|zshrc unset|*⬢ web *"},
			{"a directory of the user's", []string{"TBX_ZDOTDIR=" + own}, []string{"-i", "-c", "print ${ZDOTDIR}"}, "zshenv OWN|zshrc OWN|OWN"},
			{"a script", nil, []string{"-c", "print done"}, "zshenv unset|done"},
			{"started inside", nil, []string{"-i", "-c", "for f in $preexec_functions; do $f; done; zsh -i -c '" + show + "'"}, "zshenv unset|zshrc unset|zshenv unset|zshrc unset|*⬢ web *"},
			{"by a script", nil, []string{"-c", "zsh -i -c '" + show + "'"}, "zshenv unset|zshenv unset|zshrc unset|*⬢ web *"},
			{"at the next prompt", nil, []string{"-i", "-c", "for f in $preexec_functions $precmd_functions; do $f; done; print ${ZDOTDIR-unset}"}, "zshenv unset|zshrc unset|unset"},
			{"read anew", nil, []string{"-i", "-c", "for f in $preexec_functions; do $f; done; source ${ZDOTDIR:-$HOME}/.zshrc"}, "zshenv unset|zshrc unset|zshrc *"},
		} {
			out, errs := run(t, dir, append(append(in, "ZDOTDIR="+dir+"/shell/zsh"), c.env...), shell, c.args...)
			lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out, own, "OWN")), "\n")
			wants := strings.Split(c.want, "|")
			for i, want := range wants {
				if len(lines) != len(wants) {
					t.Errorf("%s: %q, want %q (%s)", c.name, lines, wants, errs)
					break
				}
				if part := strings.Trim(want, "*"); part != want && strings.Contains(lines[i], part) {
					continue
				}
				if lines[i] != want {
					t.Errorf("%s: %q, want %q", c.name, lines[i], want)
				}
			}
		}
	})
}
