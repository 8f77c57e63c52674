// Command tbx-box is the part of tbx that runs inside a toolbox. It is small and static,
// so that it runs in an image with any libc or none.
//
// Its first argument is its role. ARCHITECTURE.md, "Three programs", lists the roles
// inside a toolbox and on the host. Called by another name, it is a shim: the host's
// command of that name.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tbx-project/tbx/hostbridge/client"
	"github.com/tbx-project/tbx/hostbridge/runner"
	"github.com/tbx-project/tbx/internal/inherited"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/carry"
	"github.com/tbx-project/tbx/toolbox/helper"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

func main() {
	helper.BeforeExec = inherited.Restore
	os.Exit(run(os.Args))
}

func run(args []string) int {
	if name := filepath.Base(args[0]); name != "tbx-box" {
		shim(name, args)
	}
	var err error
	role := ""
	if len(args) > 1 {
		role = args[1]
	}
	switch role {
	case "pause":
		return boxinit.Pause(args[2:])
	case "init":
		os.Chdir("/") // the way into a toolbox that cannot be seen from outside leads there
		if boxinit.Init(os.Stdin, os.Stdout) != nil {
			return 1 // reported as an event
		}
	case "tree":
		err = helper.SendTrees(args[2:])
	case "settle":
		err = helper.Settle(os.Stdin)
	case "way":
		err = helper.Way(args[2:], os.Stdout)
	case "copy":
		err = treecopy.Serve(args[2:], os.Stdin, os.Stdout)
	case "carry":
		err = carry.Serve(os.Stdin, os.Stdout)
	case "measure", "pack", "unpack":
		err = pack(role, args[2:])
	case "strays":
		err = helper.Strays(args[2:])
	case "layers":
		err = helper.Layers(os.Stdin, os.Stdout)
	case "leftovers":
		err = boxinit.ListLeftovers(args[2:], os.Stdout)
	case "name-terminal":
		err = helper.NameTerminal(args[2:])
	case "begin":
		return helper.Begin(args[2:])
	case "exec":
		return helper.Exec(args[2:])
	case "terminal":
		return helper.Terminal(args[2:])
	case "host-exec":
		client.HostExec(args[2:])
	case "runner":
		return runner.Main()
	case "session":
		inherited.Honor() // its children inherit them
		return helper.Session(args[2:])
	case "guard":
		return helper.Guard(args[2:])
	case "first":
		return boxinit.First(args[2:])
	case "booted":
		return boxinit.Booted(args[2:])
	case "farewell":
		return helper.Farewell(args[2:])
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

// pack serves the roles for a file with a whole toolbox.
func pack(role string, args []string) error {
	if len(args) != 1 {
		return errors.New(role + ": it needs one argument")
	}
	switch role {
	case "measure":
		return treecopy.MeasureTree(args[0], os.Stdout)
	case "pack":
		return treecopy.Pack(args[0], os.Stdout)
	}
	return treecopy.Unpack(args[0], os.Stdin, os.Stdout)
}

// help is the help of tbx in a toolbox that has no other tbx.
const help = `In a toolbox, tbx passes on to the host:

  tbx host-exec COMMAND   run a command there; see: tbx host-exec --help
  tbx list                list the toolboxes
  tbx host status         show the host's system
  tbx host upgrade        upgrade it; the owner is asked on the host

Everything else is for the host itself; leave the toolbox with: exit
`

// shim is tbx-box under the name of a host command. It does not return. tbx itself
// handles some commands inside a toolbox; the others go to the host.
func shim(name string, args []string) {
	if name == "tbx" {
		if len(args) > 1 && args[1] == "host-exec" {
			client.HostExec(args[2:])
		}
		switch {
		case len(args) == 1, len(args) == 2 && slices.Contains([]string{"help", "--help", "-h"}, args[1]):
			fmt.Print(help)
			os.Exit(0)
		case !client.Translate(name, args[1:]).Verb:
			fmt.Fprintln(os.Stderr, "tbx: in a toolbox there are: host-exec, list, host status, host upgrade")
			fmt.Fprintln(os.Stderr, "tbx: hint: everything else is for the host; leave the toolbox with: exit")
			os.Exit(2)
		}
	}
	client.Shim(args)
}
