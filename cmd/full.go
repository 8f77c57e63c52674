//go:build !front

package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/osupdate"
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

// hostExit returns the exit code of a problem with the host, or 0.
func hostExit(err error) int {
	if p := osupdate.ProblemOf(err); p != nil {
		return p.Exit
	}
	return 0
}

// details shows with --verbose all that the host's updater said when it failed.
func (e *Env) details(err error) {
	var te *osupdate.ToolError
	if !e.Log.IsLevelEnabled(logrus.DebugLevel) || !errors.As(err, &te) {
		return
	}
	fmt.Fprintf(e.Err, "tbx: %s said:\n", clean(quoted(te.Argv)))
	for line := range strings.Lines(te.Text()) {
		fmt.Fprintf(e.Err, "  %s\n", clean(line))
	}
}
