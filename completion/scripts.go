package completion

import _ "embed"

// The scripts ask `tbx __complete`, so they do not change with the commands. They are
// written by cmd/gen.
var (
	//go:embed tbx.bash
	bash string
	//go:embed _tbx
	zsh string
	//go:embed tbx.fish
	fish string
)

// Shells are the shells that have a script.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// File is the name of a shell's script, in this folder.
func File(shell string) string {
	return map[string]string{"bash": "tbx.bash", "zsh": "_tbx", "fish": "tbx.fish"}[shell]
}

// Script returns a shell's script; "" for a shell that has none.
func Script(shell string) string {
	return map[string]string{"bash": bash, "zsh": zsh, "fish": fish}[shell]
}
