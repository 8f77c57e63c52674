//go:build front

package cmd

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/toolbox"
)

// The program tbx is built with the tag front: it is run, enter, the host's status
// and the bridge's agent, and becomes tbx-podman, which is everything, for all else and whenever a
// running toolbox cannot be entered straight away. That happens before anybody
// was asked anything, with the same arguments.

type wiring struct{}

func (e *Env) commands() []*cobra.Command {
	return []*cobra.Command{newEnter(e), newRun(e), newHost(e)}
}

func hostCommands(env *Env, o *hostOptions) []*cobra.Command {
	return []*cobra.Command{hostStatus(env, o)}
}

// newerImage is not there: a status does not ask registries.
var newerImage osupdate.Newer

// elsewhere is the agent, or hands over a call that is for none of the commands here.
func (e *Env) elsewhere(ctx context.Context, root *cobra.Command, args []string) (done bool, err error) {
	if slices.Equal(args[1:], agentServe) {
		return true, serveBridge(ctx, e)
	}
	if c, _, err := root.Find(args[1:]); err == nil && !c.HasSubCommands() {
		return false, nil
	}
	return true, programs.Become(programs.Whole)
}

func (e *Env) podman(context.Context) (toolbox.Engine, error) {
	return nil, programs.Become(programs.Whole)
}

func (e *Env) distroToolbox(distro, release string) (toolbox.Name, error) {
	return "", programs.Become(programs.Whole)
}

func (e *Env) chooseToolbox(context.Context, *toolbox.Manager, bool) (toolbox.Name, error) {
	return "", programs.Become(programs.Whole)
}
