// Command tbx manages toolboxes and the host's operating system; see package cmd.
package main

import (
	"os"

	"github.com/tbx-project/tbx/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
