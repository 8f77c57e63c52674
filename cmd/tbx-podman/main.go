// Command tbx-podman is the whole of tbx. The program tbx becomes it, with the same
// arguments, for everything that tbx cannot do itself.
package main

import (
	"os"

	"github.com/tbx-project/tbx/cmd/full"
	"github.com/tbx-project/tbx/cmd/root"
	"github.com/tbx-project/tbx/internal/programs"
)

func main() {
	programs.RestoreSettings()
	os.Exit(root.Main(full.Program(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}
