// Package profile holds the shell snippets that every toolbox gets: the toolbox's name
// in the prompt, the window's title, and commands in PATH. They are data; the package
// must not act on them.
package profile

import (
	_ "embed"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

//go:embed tbx.sh
var sh string

//go:embed prompt.bash
var promptBash string

//go:embed tbx.zsh
var zsh string

//go:embed zshenv
var zshenv string

//go:embed zshfile
var zshfile string

//go:embed tbx.fish
var fish string

// Files returns the snippets with their places inside. None is a file that a package
// of some distribution owns, nor is one of those changed: bash comes to them by
// PROMPT_COMMAND and zsh by ZDOTDIR, which every session has (toolbox.SessionEnv), and
// login shells, fish, and bash where it reads a directory by directories that are for it.
func Files() []boxinit.File {
	shell := func(name, content string) boxinit.File {
		return boxinit.File{Path: boxinit.ShellDir + "/" + name, Content: content, Mode: 0o644}
	}
	return append(former(),
		boxinit.File{Path: "/etc/profile.d/tbx.sh", Content: sh, Mode: 0o644, Needs: "/etc/profile"},
		boxinit.File{Path: "/etc/bash/bashrc.d/tbx.sh", Content: sh, Mode: 0o644, Needs: "/etc/bash/bashrc.d"}, // Alpine, Gentoo, Void
		boxinit.File{Path: "/etc/fish/conf.d/tbx.fish", Content: fish, Mode: 0o644, Needs: "/usr/bin/fish"},
		shell("prompt.bash", promptBash),
		shell("tbx.zsh", zsh),
		shell("zsh/.zshenv", zshenv),
		shell("zsh/.zprofile", zshfile),
		shell("zsh/.zshrc", zshfile),
		shell("zsh/.zlogin", zshfile),
	)
}

// former are lines that earlier versions of tbx added to files of packages.
func former() []boxinit.File {
	const bashHook = "\n[ ! -r /etc/profile.d/tbx.sh ] || . /etc/profile.d/tbx.sh # added by tbx\n"
	const zshHook = "\n[ ! -r /etc/profile.d/tbx.zsh ] || . /etc/profile.d/tbx.zsh # added by tbx\n"
	return []boxinit.File{
		{Path: "/etc/bash.bashrc", Content: bashHook, Needs: "/etc/bash.bashrc", Undo: true},
		{Path: "/etc/zsh/zshrc", Content: zshHook, Needs: "/etc/zsh", Undo: true},
		{Path: "/etc/zshrc", Content: zshHook, Needs: "/etc/zshrc", Undo: true},
	}
}
