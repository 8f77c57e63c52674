package session

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// bridge prepares the bridge for a session that is about to begin. A session without it
// is better than none. A user who enters is told why there is none. A user who runs a
// command, perhaps one of thousands, gets only that command's output; tbx host-exec in it
// says where to look.
func bridge(ctx context.Context, e *cli.Env, m *toolbox.Manager, s *toolbox.Session, enters bool) {
	if slices.Contains(s.Record.Without, integration.Bridge) {
		return
	}
	h := m.Host
	dir, id := cli.BridgeDir(h), cli.BridgeID(s.Record.Bridge)
	var name string
	var err error
	if session.Served(dir, hostbridge.BoxDir(dir, id)) {
		name, err = session.New(e.Environ, umask()).Save(dir)
	} else {
		name, err = ensureBridge(ctx, e, h, id)
	}
	place := boxinit.Bridge // its place in an isolated toolbox
	if !s.Record.Isolated {
		place = s.Record.BoxPath(hostbridge.BoxDir(dir, id))
	}
	s.Bridge = []string{"TBX_BRIDGE=" + place} // also if the agent does not answer yet: it may later
	if err == nil {
		s.Bridge = append(s.Bridge, "TBX_SESSION="+name)
		return
	}
	e.Log.Debugf("the bridge of toolbox %s: %v", s.Record.Name, err)
	if enters {
		hint := "everything else works; to see more: tbx --verbose enter " + s.Record.Name
		if hints := fail.Hints(err); len(hints) > 0 {
			hint = hints[0]
		}
		e.Progress().Warn(fmt.Sprintf("host commands will not work in toolbox %s: %v", s.Record.Name, err), hint)
	}
}

func ensureBridge(ctx context.Context, e *cli.Env, h *toolbox.Host, id string) (session string, err error) {
	self, err := programs.Front() // the small program: the agent needs no podman, and stays
	if err != nil {
		return "", err
	}
	return hostbridge.Ensure(ctx, hostbridge.EnsureOptions{
		Dir: cli.BridgeDir(h), Box: id, Env: e.Environ, Umask: umask(),
		Agent: append([]string{self}, cli.AgentServe...),
		Log:   filepath.Join(h.Dirs.State, "agent.log"),
	})
}

// umask returns the caller's umask, which can only be read by setting it.
func umask() int {
	old := unix.Umask(0o077)
	unix.Umask(old)
	return old
}
