package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Serve runs the agent. It is no error if one runs already.
func Serve(ctx context.Context, env *cli.Env) error {
	env.CatchSignals()
	m, err := env.Manager()
	if err != nil {
		return err
	}
	h := m.Host
	settled := make(chan struct{})
	go func() { // else the session, and with it all toolboxes, would outlive the logout
		defer close(settled)
		if !h.Systemd {
			return
		}
		if err := join.OwnScope(h.RuntimeDir, "tbx-agent"); err != nil {
			fmt.Fprintf(env.Err, "the agent stays in the session that it was started in: %v\n", err)
		}
	}()
	box, err := m.InstallBox()
	if err != nil {
		return err
	}
	if err := (hostbridge.Shims{Dir: toolbox.HostShimDir(h), Box: box}).Refresh(); err != nil {
		return err
	}
	self, err := programs.Front()
	if err != nil {
		return err
	}
	c, err := env.Config()
	if err != nil {
		return err
	}
	err = hostbridge.Serve(ctx, hostbridge.Options{
		Dir:    cli.BridgeDir(h),
		Lookup: (&lookup{runtime: h.TbxRuntime()}).find,
		Runner: []string{m.BoxFile, "runner"}, Settled: settled, // the installed one: toolboxes see, and some may change, their own copy
		Policy: cli.PolicyDirs(h),
		Audit: &hostbridge.AuditLog{
			Path: cli.AuditFile(h), Journal: "/run/systemd/journal/socket", NoArgs: !c.Bridge.LogArguments, Now: time.Now,
		},
		Askers: []hostbridge.Asker{hostbridge.Desktop{Path: hostbridge.SystemPath}},
		Tbx:    self,
		Path:   hostbridge.SystemPath,
		Home:   h.Home,
		Log:    env.Err,
		Ready:  hostbridge.SignalReady,
		Linger: time.Minute,
	})
	if errors.Is(err, flock.ErrBusy) {
		return nil
	}
	return err
}
