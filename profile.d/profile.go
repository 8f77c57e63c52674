// Package profile holds the shell snippets that every toolbox gets: the
// toolbox's name in the prompt, the window's title, and the host's commands in
// PATH. They are data; the package must not act on them.
package profile

import (
	_ "embed"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

//go:embed tbx.sh
var sh string

//go:embed tbx.zsh
var zsh string

//go:embed tbx.fish
var fish string

// Files returns the snippets with their places inside.
func Files() []boxinit.File {
	const bashHook = "\n[ ! -r /etc/profile.d/tbx.sh ] || . /etc/profile.d/tbx.sh # added by tbx\n"
	const zshHook = "\n[ ! -r /etc/profile.d/tbx.zsh ] || . /etc/profile.d/tbx.zsh # added by tbx\n"
	return []boxinit.File{
		{Path: "/etc/profile.d/tbx.sh", Content: sh, Mode: 0o644, Needs: "/etc/profile"},
		{Path: "/etc/bash.bashrc", Content: bashHook, Mode: 0o644, Needs: "/etc/bash.bashrc", Append: true}, // shells that are no login shells
		{Path: "/etc/profile.d/tbx.zsh", Content: zsh, Mode: 0o644},
		{Path: "/etc/zsh/zshrc", Content: zshHook, Mode: 0o644, Needs: "/etc/zsh", Append: true},
		{Path: "/etc/zshrc", Content: zshHook, Mode: 0o644, Needs: "/etc/zshrc", Append: true},
		{Path: "/etc/fish/conf.d/tbx.fish", Content: fish, Mode: 0o644, Needs: "/usr/bin/fish"},
	}
}
