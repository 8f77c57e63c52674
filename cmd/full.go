//go:build !front

package cmd

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/osupdate/registry"
	"github.com/tbx-project/tbx/toolbox/podman"
)

// wiring is what only the whole program has.
type wiring struct{ engine *podman.Engine }

// commands returns every command of tbx.
func (e *Env) commands() []*cobra.Command {
	enter, run := newEnter(e), newRun(e)
	enter.ValidArgsFunction, run.ValidArgsFunction = e.completeToolboxes, e.completeRun
	for _, c := range []*cobra.Command{enter, run} {
		c.RegisterFlagCompletionFunc("toolbox", e.completeToolboxes)
		c.RegisterFlagCompletionFunc("distro", e.completeDistros)
		noCompletion(c, "release", "env", "workdir", "preserve-fds")
	}
	return []*cobra.Command{
		newCreate(e), enter, run, newList(e), newStart(e), newStop(e), newRemove(e), newRename(e),
		newInspect(e), newLogs(e), newHost(e), newImage(e), newImageRemove(e, "rmi"),
		newHostExec(e), newPolicy(e), newShim(e), newAudit(e), newAgent(e), newCompletion(e),
	}
}

// elsewhere carries out a call that is for no command: root's side of an order
// for the host.
func (e *Env) elsewhere(ctx context.Context, _ *cobra.Command, args []string) (done bool, err error) {
	if !isHostOrder(args) {
		return false, nil
	}
	e.signals.catch()
	return true, hostOrder(ctx, args[1:], e.Getenv, e.Out)
}

func hostCommands(env *Env, o *hostOptions) []*cobra.Command {
	return append(hostReaders(env, o), hostChangers(env, o)...)
}

// newerImage asks an image's registry.
func newerImage(ctx context.Context, reference, digest string) (string, error) {
	return registry.Newer(ctx, http.DefaultClient, reference, digest)
}
