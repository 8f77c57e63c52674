package profile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSnippets reads each snippet in its shell, interactive and not, and looks
// at the prompt that comes of it. The mark of a toolbox is a file of the test's.
func TestSnippets(t *testing.T) {
	type shell struct {
		name, program, snippet string
		args                   []string
		show                   string // prints the prompt, after two prompts' worth of hooks
	}
	shells := []shell{
		{"bash", "bash", sh, []string{"--norc", "--noprofile"}, `PS1='\u> '; PROMPT_COMMAND='true'; . "$SNIPPET"; . "$SNIPPET"; eval "$PROMPT_COMMAND"; eval "$PROMPT_COMMAND"; eval "printf %s \"$PS1\""`},
		{"dash", "dash", sh, nil, `PS1='\u> '; . "$SNIPPET"; . "$SNIPPET"; eval "printf %s \"$PS1\""`},
		{"zsh", "zsh", zsh, []string{"-f"}, `PS1='\u> '; . "$SNIPPET"; . "$SNIPPET"; for h in 1 2; do for f in $precmd_functions; do $f; done; done; printf %s "$PS1"`},
		{"fish", "fish", fish, []string{"--no-config"}, `function fish_prompt; printf %s '\u> '; end; source $SNIPPET; source $SNIPPET; emit fish_prompt; emit fish_prompt; fish_prompt`},
	}
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			program, err := exec.LookPath(s.program)
			if err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			dir := t.TempDir()
			mark, snippet := filepath.Join(dir, "mark"), filepath.Join(dir, "snippet")
			if err := os.WriteFile(snippet, []byte(strings.ReplaceAll(s.snippet, "/run/.toolboxenv", mark)), 0o644); err != nil {
				t.Fatal(err)
			}
			prompt := func(interactive bool, env ...string) (out, errs string) {
				args := s.args
				if interactive {
					args = append(args[:len(args):len(args)], "-i")
				}
				cmd := exec.Command(program, append(args[:len(args):len(args)], "-c", s.show)...)
				cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "LC_ALL=C.UTF-8", "SNIPPET=" + snippet}, env...)
				cmd.Dir = dir
				var stderr strings.Builder
				cmd.Stderr = &stderr
				data, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, stderr.String())
				}
				return string(data), stderr.String()
			}
			const name = "⬢ it's-$(id) "
			in := []string{"TBX_TOOLBOX=web", "TBX_PROMPT=" + name}
			has := func(what string, want int, interactive bool, env ...string) {
				t.Helper()
				out, errs := prompt(interactive, env...)
				if got := strings.Count(out, name); got != want || !strings.Contains(out, `\u> `) {
					t.Errorf("%s: prompt %q, the name should be in it %d times", what, out, want)
				}
				if strings.Contains(errs, snippet) || strings.Contains(errs, "tbx") {
					t.Errorf("%s: it complains: %s", what, errs)
				}
			}
			has("on the host", 0, true, in...)
			if err := os.WriteFile(mark, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			has("in a toolbox", 1, true, in...)
			has("in a script", 0, false, in...)
			has("switched off", 0, true, "TBX_TOOLBOX=web")
			has("switched off, empty", 0, true, "TBX_TOOLBOX=web", "TBX_PROMPT=")
			has("a container of somebody else's", 0, true, "TBX_PROMPT="+name)
			if s.name == "bash" || s.name == "zsh" {
				if out, _ := prompt(true, append(in, "TBX_TITLE=1")...); !strings.Contains(out, "\x1b]0;web: ~\a") {
					t.Errorf("no title in %q", out)
				}
			}
		})
	}
}
