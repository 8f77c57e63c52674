// Command tbx is the program that users call. It is small, so that a running toolbox is
// entered at once: it has run, enter, the host's status and the bridge's agent. For all
// else, and whenever a toolbox cannot be entered at once, it becomes tbx-podman, which
// has every command. That happens with the same arguments, before anybody was asked
// anything.
package main

import (
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/bridge"
	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/host"
	"github.com/tbx-project/tbx/cmd/root"
	"github.com/tbx-project/tbx/cmd/session"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
)

func main() {
	os.Exit(root.Main(root.Program{Commands: commands, Dispatch: dispatch}, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

func commands(env *cli.Env) []*cobra.Command {
	env.Engine = func(context.Context) (toolbox.Engine, error) { return nil, becomeFull() }
	enter, run := session.NewEnter(env, chooser{}, nil), session.NewRun(env, chooser{}, nil)
	for _, c := range []*cobra.Command{enter, run} { // tbx-podman has more flags for these, to make a toolbox for the session
		c.SetFlagErrorFunc(func(*cobra.Command, error) error { return becomeFull() })
		c.SetHelpFunc(func(*cobra.Command, []string) { becomeFull() })
	}
	return []*cobra.Command{enter, run, host.New(env, host.StatusOnly)}
}

// dispatch runs the agent, or hands over a call that none of the commands here is for.
func dispatch(ctx context.Context, env *cli.Env, tree *cobra.Command, args []string) (done bool, err error) {
	if slices.Equal(args[1:], cli.AgentServe) {
		return true, bridge.Serve(ctx, env)
	}
	if c, _, err := tree.Find(args[1:]); err == nil && !c.HasSubCommands() {
		return false, nil
	}
	return true, becomeFull()
}

// becomeFull replaces this process by tbx-podman. On success it does not return.
func becomeFull() error { return programs.Become(programs.Full) }

// chooser is a session.Chooser that needs tbx-podman: choosing takes the catalogue or
// podman.
type chooser struct{}

func (chooser) DistroToolbox(string, string) (toolbox.Name, error) { return "", becomeFull() }

func (chooser) ChooseToolbox(context.Context, *toolbox.Manager, []string) (toolbox.Name, error) {
	return "", becomeFull()
}
