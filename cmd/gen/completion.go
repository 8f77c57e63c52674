package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/cmd/full"
	"github.com/tbx-project/tbx/completion"
)

// script returns the completion script of a shell, from the command tree.
func script(shell string) ([]byte, error) {
	root := full.Root()
	generate := map[string]func(io.Writer) error{
		"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  root.GenZshCompletion,
		"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	}[shell]
	if generate == nil {
		return nil, fmt.Errorf("no completion can be generated for %s", shell)
	}
	var b bytes.Buffer
	err := generate(&b)
	return b.Bytes(), err
}

// writeScripts writes the completion scripts.
func writeScripts(root string) error {
	for _, shell := range completion.Shells() {
		text, err := script(shell)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, "completion", completion.File(shell)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
