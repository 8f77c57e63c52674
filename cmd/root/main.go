package root

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/face"
	"github.com/tbx-project/tbx/hostbridge/client"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/inherited"
)

// Program is the difference between tbx and tbx-podman.
type Program struct {
	// Commands makes the program's commands, and completes env for them.
	Commands func(env *cli.Env) []*cobra.Command
	// Dispatch handles a call that no command is for; done reports whether it did.
	Dispatch func(ctx context.Context, env *cli.Env, tree *cobra.Command, args []string) (done bool, err error)
}

// Main runs a program with its arguments, the program's name first, and returns
// its exit code.
func Main(p Program, args []string, in, out, errs *os.File) int {
	inherited.Honor()
	call, err := face.Of(args, os.Getenv("HOME"))
	if err != nil {
		cli.Report(errs, err)
		return call.Code(cli.CodeOf(err, false), false)
	}
	if call.Print != "" {
		fmt.Fprintln(out, call.Print)
		return cli.ExitDone
	}
	args = call.Args
	callHost(args[1:])
	cli.SettleEnvironment(errs)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env := cli.NewEnv(in, out, errs, os.Environ())
	env.CancelOnSignals(cancel, ctx.Done())
	root := New(env, p.Commands)
	if done, err := p.Dispatch(ctx, env, root, args); done {
		cli.Report(errs, err)
		return call.Code(cli.CodeOf(err, false), false)
	}
	root.SetArgs(args[1:])
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err = root.ExecuteContext(ctx)
	env.Progress().Close()
	if err != nil && ctx.Err() != nil && !errors.Is(err, fail.Canceled) {
		err = cli.Interrupted(err)
	}
	cli.Report(errs, err)
	env.Details(err)
	return call.Code(cli.CodeOf(err, env.Session), env.Session)
}

// callHost takes over, inside a toolbox, the commands that work on the host: host-exec,
// and the commands of tbx that are verbs of the bridge. For all others, and on a host, it
// returns.
func callHost(args []string) {
	if len(args) == 0 || cli.InsideOf("/") == "" {
		return
	}
	if args[0] == "host-exec" {
		client.HostExec(args[1:])
	}
	if client.Translate("tbx", args).Verb {
		client.Shim(append([]string{"tbx"}, args...))
	}
}
