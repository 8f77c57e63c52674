package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/tbx-project/tbx/osupdate"
)

// Details shows, with --verbose, all output of the host's updater when it failed.
func (e *Env) Details(err error) {
	var te *osupdate.ToolError
	if !e.Log.IsLevelEnabled(logrus.DebugLevel) || !errors.As(err, &te) {
		return
	}
	fmt.Fprintf(e.Err, "tbx: %s said:\n", Clean(Quoted(te.Argv)))
	for line := range strings.Lines(te.Text()) {
		fmt.Fprintf(e.Err, "  %s\n", Clean(line))
	}
}
