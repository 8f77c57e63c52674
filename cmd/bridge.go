package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/client"
	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/join"
)

// The wiring of the bridge: what hostbridge is told of this user and of
// toolboxes, of which it knows nothing itself.

// bridgeDir is the bridge's directory: an agent for each set of the user's
// directories, where its policy, its log and the programs that it starts are.
func bridgeDir(h *toolbox.Host) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{h.Dirs.Config, h.Dirs.Data, h.Dirs.State}, "\x00")))
	return filepath.Join(h.TbxRuntime(), "bridge-"+hex.EncodeToString(sum[:4]))
}

// bridgeID shortens the id by which the bridge knows a toolbox, see join.Record,
// because a socket's path has 107 bytes.
func bridgeID(key string) string { return key[:min(12, len(key))] }

func auditFile(h *toolbox.Host) string { return filepath.Join(h.Dirs.State, "host-audit.jsonl") }

func policyDirs(h *toolbox.Host) hostbridge.PolicyDirs {
	return hostbridge.PolicyDirs{Admin: "/etc/tbx/host-policy.d", User: filepath.Join(h.Dirs.Config, "host-policy.d")}
}

// bridge makes the bridge work for a session that is about to begin. A session
// without it is better than none. Who enters is told why there is none; who runs a
// command, perhaps one of thousands, gets that command's output and no more, and
// tbx host-exec in it says where to look.
func (e *Env) bridge(ctx context.Context, m *toolbox.Manager, s *toolbox.Prepared, enters bool) {
	if slices.Contains(s.Record.Without, toolbox.Bridge) {
		return
	}
	h := m.Host
	dir, id := bridgeDir(h), bridgeID(s.Record.Bridge)
	name, err := "", error(nil)
	if session.Served(dir, hostbridge.BoxDir(dir, id)) {
		name, err = session.New(e.Environ, umask()).Save(dir)
	} else {
		name, err = e.ensureBridge(ctx, h, id)
	}
	place := boxinit.Bridge // where an isolated toolbox has it mounted
	if !s.Record.Isolated {
		place = s.Record.BoxPath(hostbridge.BoxDir(dir, id))
	}
	s.Bridge = []string{"TBX_BRIDGE=" + place} // also of one that does not answer: it may later
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
		e.progress().Warn(fmt.Sprintf("commands of the host will not work in toolbox %s: %v", s.Record.Name, err), hint)
	}
}

func (e *Env) ensureBridge(ctx context.Context, h *toolbox.Host, id string) (session string, err error) {
	self, err := programs.Front() // the small one: the agent needs no podman, and stays
	if err != nil {
		return "", err
	}
	return hostbridge.Ensure(ctx, hostbridge.EnsureOptions{
		Dir: bridgeDir(h), Box: id, Env: e.Environ, Umask: umask(),
		Agent: append([]string{self}, agentServe...),
		Log:   filepath.Join(h.Dirs.State, "agent.log"),
	})
}

// agentServe are the arguments with which tbx is the agent.
var agentServe = []string{"agent", "--serve"}

// umask reads the caller's, which can only be read by setting it.
func umask() int {
	old := unix.Umask(0o077)
	unix.Umask(old)
	return old
}

// lookupBox finds a running toolbox among the records that tbx keeps.
func lookupBox(h *toolbox.Host) hostbridge.Lookup {
	return func(_ context.Context, id string) (hostbridge.Box, error) {
		files, _ := filepath.Glob(filepath.Join(h.TbxRuntime(), "toolboxes", "*.json"))
		for _, file := range files {
			r, err := join.Load(h.TbxRuntime(), strings.TrimSuffix(filepath.Base(file), ".json"))
			if err != nil || bridgeID(r.Bridge) != id || slices.Contains(r.Without, toolbox.Bridge) {
				continue
			}
			box := hostbridge.Box{ID: id, Name: r.Name, Isolated: r.Isolated}
			for _, m := range r.Mounts {
				box.Shares = append(box.Shares, hostbridge.Share{Host: m.Host, Box: m.Box})
			}
			if start, err := join.StartTime(r.PID); err == nil && start == r.StartTime {
				box.Pid = r.PID
			}
			return box, nil
		}
		return hostbridge.Box{}, fail.New(fail.NotFound, "no running toolbox %s is on record", id)
	}
}

// serveBridge is the agent. That there is one already is no error.
func serveBridge(ctx context.Context, env *Env) error {
	env.signals.catch()
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
		Dir:    bridgeDir(h),
		Lookup: lookupBox(h),
		Keeper: []string{box, "keep"}, Settled: settled,
		Policy: policyDirs(h),
		Audit:  &hostbridge.AuditLog{Path: auditFile(h), Journal: "/run/systemd/journal/socket", NoArgs: !c.Bridge.LogArguments, Now: time.Now},
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

// callHost takes over, inside a toolbox, for what is done on the host: host-exec,
// and the commands of tbx that are verbs of the bridge. It returns for the rest,
// and on a host.
func callHost(args []string) {
	if len(args) == 0 || insideOf("/") == "" {
		return
	}
	if args[0] == "host-exec" {
		client.HostExec(args[1:])
	}
	if client.Translate("tbx", args).Verb {
		client.Shim(append([]string{"tbx"}, args...))
	}
}
