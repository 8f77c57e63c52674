//go:build system

package terminal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The prompt names the toolbox in every shell, also where the user's files set
// it anew, as Debian's ~/.bashrc does, and in shells that are started inside.
func TestPrompt(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	user := os.Getenv("USER")
	for _, tt := range []struct{ shell, then, prompt string }{
		{"/bin/bash", "", "⬢ " + box + " " + user + "@" + host + ":/tmp$"},
		{"/bin/bash", "bash --login", "⬢ " + box + " " + user + "@" + host + ":/tmp$"},
		{"/bin/bash", "bash", "⬢ " + box + " " + user + "@" + host + ":/tmp$"},
		{"/bin/bash", "sh", "$"},
		{"/bin/zsh", "", "⬢ " + box + " " + host + "%"},
		{"/bin/zsh", "zsh", "⬢ " + box + " " + host + "%"},
		{"/usr/bin/fish", "", "⬢ " + box + " " + user + "@" + host + " /tmp>"},
		{"/usr/bin/fish", "fish", "⬢ " + box + " " + user + "@" + host + " /tmp>"},
		{"/bin/dash", "", "⬢ " + box + " $"},
		{"/bin/bash", "busybox ash -l", "⬢ " + box + " $"},
	} {
		t.Run(strings.TrimSpace(filepath.Base(tt.shell)+" "+tt.then), func(t *testing.T) {
			t.Parallel()
			c := openTmux(t, []string{"SHELL=" + tt.shell, "LANG=C.UTF-8"}, "tbx", "enter", "--workdir", "/tmp", box)
			lastLine(t, c, "⬢ "+box)
			if tt.then != "" {
				c.send("clear; exec " + tt.then + "\r")
			}
			await(t, func() string { return "the prompt is not " + tt.prompt + "\n" + c.visible() }, func() bool {
				return last(c) == tt.prompt
			})
		})
	}
}

// TestD41_RootsPrompt: root's shell inside is seen to be inside, whichever way it was
// opened and though sudo drops the session's variables.
func TestD41_RootsPrompt(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ shell, then, prompt string }{
		{"/bin/bash", "sudo -i", "⬢ " + box + " root@" + host + ":~#"},
		{"/bin/bash", "sudo su", "⬢ " + box + " root@" + host + ":/tmp#"},
		{"/bin/bash", "sudo su -", "⬢ " + box + " root@" + host + ":~#"},
		{"/bin/bash", "sudo -s", "⬢ " + box + " root@" + host + ":/tmp#"},
		{"/bin/bash", "su", "⬢ " + box + " root@" + host + ":/tmp#"},
		{"/bin/bash", "su -", "⬢ " + box + " root@" + host + ":~#"},
		{"/bin/bash", "sudo env -i TERM=xterm bash", "(⬢ " + box + ")root@" + host + ":/tmp#"},
		{"/bin/zsh", "sudo -s", "⬢ " + box + " " + host + "#"},
		{"/usr/bin/fish", "sudo fish", "⬢ " + box + " root@" + host + " /tmp#"},
	} {
		t.Run(strings.TrimSpace(filepath.Base(tt.shell)+" "+tt.then), func(t *testing.T) {
			t.Parallel()
			c := openTmux(t, []string{"SHELL=" + tt.shell, "LANG=C.UTF-8"}, "tbx", "enter", "--workdir", "/tmp", box)
			lastLine(t, c, "⬢ "+box)
			c.send("clear; " + tt.then + "\r")
			await(t, func() string { return "the prompt is not " + tt.prompt + "\n" + c.visible() }, func() bool {
				return last(c) == tt.prompt
			})
		})
	}
}

// Host commands are there by name in a login shell too, whose files set PATH anew.
func TestHostCommandsByName(t *testing.T) {
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := openTmux(t, []string{"SHELL=" + s.path, "LANG=C.UTF-8"}, "tbx", "enter", box)
			lastLine(t, c, "⬢ "+box)
			c.send("clear; tbx host-exec printf 'on the %s\\n' host\r")
			await(t, func() string { return "the host did not answer\n" + c.visible() }, func() bool {
				return strings.Contains(c.visible(), "on the host\n")
			})
		})
	}
}

// last is the last line on the screen that is not empty.
func last(c *tmuxConsole) string {
	lines := strings.Split(strings.TrimSpace(c.visible()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func lastLine(t *testing.T, c *tmuxConsole, prefix string) {
	t.Helper()
	await(t, func() string { return "no line begins with " + prefix + "\n" + c.visible() }, func() bool {
		return strings.HasPrefix(last(c), prefix)
	})
}

func TestPromptConfigured(t *testing.T) {

	for name, tt := range map[string]struct {
		config string
		args   []string
		want   string // what the prompt begins with
	}{
		"format":      {"[prompt]\nformat = \"(in %s) \"\n", nil, "(in " + box + ") " + os.Getenv("USER") + "@"},
		"off":         {"[prompt]\nenabled = false\n", nil, os.Getenv("USER") + "@"},
		"empty":       {"", []string{"--env", "TBX_PROMPT="}, os.Getenv("USER") + "@"},
		"odd letters": {"[prompt]\nformat = \"a\\\\$(b)`%s` \"\n", nil, "a\\$(b)`" + box + "` " + os.Getenv("USER") + "@"},
	} {
		for _, s := range shells {
			if s.name == "zsh" && name != "format" && name != "off" {
				continue // its prompt has neither the user's name nor anything else of note
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				want := tt.want
				if s.name == "zsh" {
					host, _ := os.Hostname()
					want = strings.TrimSuffix(want, os.Getenv("USER")+"@") + host + "%"
				}
				env := append(configured(t, tt.config), "SHELL="+s.path, "LANG=C.UTF-8")
				c := openTmux(t, env, append(append([]string{"tbx", "enter", "--workdir", "/tmp"}, tt.args...), box)...)
				lastLine(t, c, want)
				c.send("\r")
				lastLine(t, c, want) // at the second prompt too
			})
		}
	}
}

func TestTitle(t *testing.T) {
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := openTmux(t, []string{"SHELL=" + s.path, "TERM=tmux-256color"}, "tbx", "enter", box)
			lastLine(t, c, "⬢ "+box)
			c.send("cd ~\r")
			await(t, func() string { return "the title is " + c.tmux("display-message", "-p", "#{pane_title}") }, func() bool {
				return c.tmux("display-message", "-p", "#{pane_title}") == box+": ~\n"
			})
		})
	}
}
