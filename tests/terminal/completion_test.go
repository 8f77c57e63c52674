//go:build system

package terminal_test

import (
	"os"
	"path/filepath"
	"testing"
)

// Completions are installed as make install does and triggered by the shell's
// own key. Names are live: the toolbox was made a moment ago.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for shell, file := range map[string]string{
		"bash": "bash-completion/completions/tbx", "zsh": "zsh/site-functions/_tbx", "fish": "fish/vendor_completions.d/tbx.fish",
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(tbx(t, nil, "completion", shell)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	prepare := map[string]string{
		"bash": ". /usr/share/bash-completion/bash_completion; BASH_COMPLETION_USER_DIR=" + dir + "/bash-completion",
		"zsh":  "fpath=(" + dir + "/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -d " + dir + "/zcompdump",
		"fish": "set fish_complete_path " + dir + "/fish/vendor_completions.d $fish_complete_path",
	}
	short := box[:len(box)-2]
	for _, s := range shells {
		for name, tt := range map[string]struct{ typed, want string }{
			"enter":      {"enter " + short, "tbx enter " + box},
			"run":        {"run " + short, "tbx run " + box},
			"stop":       {"stop " + short, "tbx stop " + box},
			"flag value": {"run -c " + short, "tbx run -c " + box},
			"flag":       {"enter --workd", "tbx enter --workdir"},
			"subcommand": {"rena", "tbx rename"},
			"image":      {"create --image " + image[:len(image)-1], "tbx create --image " + image},
		} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := s.onHost(t, "tmux").(*tmuxConsole)
				c.send(prepare[s.name] + "\r")
				if got := ask(t, c, "prepared", s.status); got != "0" {
					t.Fatalf("preparing: %s", got)
				}
				c.send("clear\r")
				await(t, text("clear does not clear"), func() bool { return len(c.visible()) < 150 })
				c.send("tbx " + tt.typed + "\t")
				expect(t, c, `(?m)[%$>] `+tt.want+`( |$)`)
			})
		}
	}
}

// What is offered comes with its description.
func TestCompletionList(t *testing.T) {
	t.Parallel()
	newBox(t, "listed", nil)
	c := shells[2].onHost(t, "tmux").(*tmuxConsole)
	c.send("tbx completion fish | source\r")
	ask(t, c, "prepared", "$status")
	c.send("tbx enter tbxt\t")
	expect(t, c, box+` +\(running`)
	expect(t, c, other+`listed +\((created|running)`)
}
