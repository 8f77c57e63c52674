// Command tbx-box is the part of tbx that runs inside a toolbox. It is small
// and static, so that it runs in an image of any libc or of none.
//
// It is called with what it shall be: pause (the first process), init (the
// initialiser), exec (the last step into a session), tree (a view of the host's
// file system, taken on the host) or session (the companion of an interactive
// session, on the host).
package main

import (
	"fmt"
	"os"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/stage"
)

func main() {
	os.Exit(run(os.Args))
}

func run(args []string) int {
	var err error
	role := ""
	if len(args) > 1 {
		role = args[1]
	}
	switch role {
	case "pause":
		boxinit.Pause()
	case "init":
		if boxinit.Init(os.Stdin, os.Stdout) != nil {
			return 1 // reported as an event
		}
	case "tree":
		err = stage.SendHostTree()
	case "exec":
		return stage.Exec(args[2:])
	case "session":
		return stage.Session(args[2:])
	default:
		fmt.Fprintln(os.Stderr, "tbx-box: this program belongs to tbx and is not called by hand; see: tbx --help")
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tbx-box:", err)
		return 1
	}
	return 0
}
