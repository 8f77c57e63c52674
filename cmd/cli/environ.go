package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/xdg"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// SettleEnvironment repairs missing or wrong variables, for this process and its
// children: su and sudo keep another user's runtime directory, and at boot or from cron
// there may be none.
func SettleEnvironment(errs io.Writer) {
	if os.Getenv("PATH") == "" {
		os.Setenv("PATH", strings.Join(boxinit.SystemPath, ":"))
	}
	asked := os.Getenv("XDG_RUNTIME_DIR")
	why := xdg.RuntimeProblem(os.Getuid(), asked)
	if asked == "" || why == nil {
		return
	}
	os.Unsetenv("XDG_RUNTIME_DIR")
	dir, err := xdg.RuntimeBase(os.Getuid(), os.Getenv)
	if err != nil || os.Geteuid() == 0 { // commands that need one say so; root has no toolboxes
		return
	}
	fmt.Fprintf(errs, "tbx: warning: XDG_RUNTIME_DIR is %s, which cannot be used: %s; using %s\n",
		escape.Text(asked), escape.Text(why.Error()), dir)
	if !xdg.OwnRuntime(dir) {
		os.Setenv("XDG_RUNTIME_DIR", dir)
	}
}
