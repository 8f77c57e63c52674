// Package full assembles the whole of tbx: every command, and the parts that ask podman.
// The program tbx-podman is made from it, and the documents are generated and checked
// from its tree.
package full

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/box"
	"github.com/tbx-project/tbx/cmd/bridge"
	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/declared"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/cmd/host"
	"github.com/tbx-project/tbx/cmd/image"
	"github.com/tbx-project/tbx/cmd/pkg"
	"github.com/tbx-project/tbx/cmd/root"
	"github.com/tbx-project/tbx/cmd/session"
	"github.com/tbx-project/tbx/cmd/snapshot"
	"github.com/tbx-project/tbx/osupdate/auto/fleet"
)

// Program returns the program of every command.
func Program() root.Program { return root.Program{Commands: commands, Dispatch: dispatch} }

// Root returns the command tree, for generated files.
func Root() *cobra.Command {
	return root.New(cli.NewEnv(os.Stdin, os.Stdout, os.Stderr, os.Environ()), commands)
}

// commands returns every command of tbx.
func commands(env *cli.Env) []*cobra.Command {
	e := fetch.New(env)
	env.Newer = newerImage
	chooser := e.Chooser(box.OfferFirst(e))
	maker := box.NewEphemeralMaker(e)
	enter, run := session.NewEnter(env, chooser, maker), session.NewRun(env, chooser, maker)
	enter.ValidArgsFunction, run.ValidArgsFunction = env.CompleteToolboxes, env.CompleteRun
	for _, c := range []*cobra.Command{enter, run} {
		c.RegisterFlagCompletionFunc("toolbox", env.CompleteToolboxes)
		c.RegisterFlagCompletionFunc("distro", e.CompleteDistros)
		c.RegisterFlagCompletionFunc("release", e.CompleteReleases)
		c.RegisterFlagCompletionFunc("env", env.CompleteVariables)
		c.RegisterFlagCompletionFunc("workdir", cli.Directories)
		cli.NoCompletion(c, "preserve-fds")
	}
	return []*cobra.Command{
		box.NewCreate(e), box.NewEdit(e), box.NewRebase(e), box.NewFreeze(e), box.NewAdopt(e), enter, run, box.NewList(e, image.List(e)),
		box.NewStart(env), box.NewStop(env), box.NewRemove(env), box.NewRename(env),
		pkg.NewUpgrade(e), pkg.NewInstall(e), pkg.NewRemove(e), pkg.NewSearch(e), pkg.NewOutdated(e, image.Outdated(e)),
		box.NewClone(e, func(name string) cobra.CompletionFunc { return snapshot.CompleteNames(e, name, nil) }), snapshot.New(e),
		box.NewSave(e, func(name string) cobra.CompletionFunc { return snapshot.CompleteNames(e, name, nil) }), box.NewLoad(e),
		box.NewInspect(e), box.NewLogs(env), host.New(env, host.All(fleet.Open)), image.New(e), image.NewRemove(e, "rmi"),
		declared.NewPlan(e), declared.NewApply(e), declared.NewAllow(e), declared.NewDeny(e), declared.NewImport(e),
		bridge.NewHostExec(env), bridge.NewPolicy(env), bridge.NewShim(env), bridge.NewAudit(env), bridge.NewAgent(env), newCompletion(env),
	}
}

// dispatch carries out an order for the host as root.
func dispatch(ctx context.Context, env *cli.Env, _ *cobra.Command, args []string) (done bool, err error) {
	if !host.IsOrder(args) {
		return false, nil
	}
	env.CatchSignals()
	return true, host.Order(ctx, args[1:], env)
}
