//go:build !front

package cmd

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/asroot"
	"github.com/tbx-project/tbx/osupdate/backends"
)

// hostOrder carries out an order as root. It reads no configuration and nothing
// of the environment but the caller's number, which only the history shows.
func hostOrder(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	if os.Geteuid() != 0 {
		return fail.New(fail.Usage, "%s is for tbx itself, as root", args[0]).Hint("the commands for the host: tbx host --help")
	}
	o, err := asroot.Parse(args)
	if err != nil {
		return err
	}
	user := 0
	for _, name := range []string{"PKEXEC_UID", "SUDO_UID"} {
		if n, err := strconv.Atoi(getenv(name)); err == nil {
			user = n
		}
	}
	return asroot.Serve(ctx, o, func(progress func(osupdate.Progress)) (*osupdate.Host, error) {
		return osupdate.Open(backends.System(user, progress, newerImage))
	}, out)
}

// isHostOrder says whether tbx was started as root's side of an order.
func isHostOrder(args []string) bool {
	return len(args) > 1 && strings.HasPrefix(args[1], asroot.Prefix)
}
