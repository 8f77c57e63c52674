package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// declared measures a plan of many declared toolboxes of which none has to be changed.
func declared(b *bench) error {
	const boxes = 20
	dir, err := os.MkdirTemp("", "declared")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var text strings.Builder
	for i := range boxes {
		box := fmt.Sprintf("%s-declared-%d", tbxBox, i)
		defer try("tbx", "rm", "--force", box)
		fmt.Fprintf(&text, "[toolbox.%s]\nimage = %q\nenv = [\"N=%d\"]\nfiles.\"/etc/own\" = { text = \"x\" }\n", box, b.image, i)
	}
	file := filepath.Join(dir, "boxes.toml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return err
	}
	if err := must("tbx", "apply", "--yes", file); err != nil {
		return err
	}
	plan, err := inTurn(b.runs, timed("tbx", "plan", "--exit-code", file))
	if err != nil {
		return err
	}
	bounded(fmt.Sprintf("`plan` of %d unchanged toolboxes", boxes), plan[0].median(), 300*time.Millisecond)
	return nil
}
