package host

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/backends"
	"github.com/tbx-project/tbx/osupdate/privileged"
)

// Order carries out an order as root. It reads no configuration, and from the environment
// only the caller's number, which the history shows.
func Order(ctx context.Context, args []string, env *cli.Env) error {
	if os.Geteuid() != 0 {
		return fail.New(fail.Usage, "%s is for tbx itself, as root", args[0]).Hint("the commands for the host: tbx host --help")
	}
	o, err := privileged.Parse(args)
	if err != nil {
		return err
	}
	user := asker(env)
	err = privileged.Serve(ctx, o, func(progress func(osupdate.Progress)) (*osupdate.Host, error) {
		return osupdate.Open(backends.System(user, progress, env.Newer))
	}, env.Out)
	if err != nil {
		return cli.Exit(cli.CodeOf(err, false)) // who asked prints the error, on the same terminal
	}
	return nil
}

// asker is the number of the user who became root to ask: the history names it, and its
// sessions do not keep the machine from being restarted.
func asker(env *cli.Env) int {
	user := os.Getuid()
	for _, name := range []string{"PKEXEC_UID", "SUDO_UID"} {
		if n, err := strconv.Atoi(env.Getenv(name)); err == nil && user == 0 {
			return n
		}
	}
	return user
}

// IsOrder reports whether tbx was started to carry out an order as root.
func IsOrder(args []string) bool {
	return len(args) > 1 && strings.HasPrefix(args[1], privileged.Prefix)
}
