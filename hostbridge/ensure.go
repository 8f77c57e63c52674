package hostbridge

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// EnsureOptions are the options of Ensure.
type EnsureOptions struct {
	Dir   string   // the bridge's directory
	Box   string   // id of a toolbox that runs: 8 to 64 of a-z and 0-9
	Env   []string // the caller's environment
	Umask int      // the caller's
	Agent []string // command line of an agent: it must call Serve, with Ready closing descriptor 3
	Log   string   // file for the agent's messages
}

// startLimit is the longest time of Ensure: for the start of an agent, also by another
// tbx.
const startLimit = 30 * time.Second

// Ensure makes the bridge work for a running toolbox: it starts the agent if there is
// none and makes it serve the toolbox. It returns the name of the session, for
// TBX_SESSION in the toolbox.
func Ensure(ctx context.Context, o EnsureOptions) (name string, err error) {
	late := fail.New(fail.Unable, "the agent of the bridge was not ready within %s", startLimit).Hint("see %s", o.Log)
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, late)
	defer cancel()
	ask := order{Op: "serve", Box: o.Box}
	if err = call(ctx, o.Dir, ask, new(report)); errors.Is(err, fail.NotFound) {
		err = startAndCall(ctx, o, ask)
	}
	if err != nil {
		return "", err
	}
	return session.New(o.Env, o.Umask).Save(o.Dir)
}

func startAndCall(ctx context.Context, o EnsureOptions, ask order) error {
	agentDir := filepath.Join(o.Dir, "agent")
	if err := os.MkdirAll(filepath.Dir(o.Dir), 0o700); err != nil {
		return fail.Wrap(fail.Unable, err, "bridge directory")
	}
	for _, d := range []string{o.Dir, agentDir} {
		if err := privateDir(d); err != nil {
			return err
		}
	}
	lock, err := flock.Wait(ctx, filepath.Join(agentDir, "start"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := call(ctx, o.Dir, ask, new(report)); !errors.Is(err, fail.NotFound) { // another was faster
		return err
	}
	if err := startAgent(ctx, o); err != nil {
		return err
	}
	return call(ctx, o.Dir, ask, new(report))
}

// startAgent returns when the agent takes requests: it then closes its end of a
// pipe after one byte. An end without the byte is a failed start.
func startAgent(ctx context.Context, o EnsureOptions) error {
	ready, its, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	defer its.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := os.MkdirAll(filepath.Dir(o.Log), 0o700); err != nil {
		return fail.Wrap(fail.Unable, err, "log of the agent")
	}
	log, err := os.OpenFile(o.Log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fail.Wrap(fail.Unable, err, "log of the agent")
	}
	defer log.Close()
	var proc *os.Process
	if err := hostprog.WithoutInherited(func() (err error) {
		proc, err = os.StartProcess(o.Agent[0], o.Agent, &os.ProcAttr{
			Dir:   "/",
			Env:   o.Env,
			Files: []*os.File{null, null, log, its},
			Sys:   &unix.SysProcAttr{Setsid: true},
		})
		return err
	}); err != nil {
		return fail.Wrap(fail.Unable, err, "cannot start the agent")
	}
	its.Close()
	defer context.AfterFunc(ctx, func() { ready.Close() })()
	if n, err := ready.Read(make([]byte, 1)); n != 1 {
		if ctx.Err() != nil {
			proc.Kill() // it may be stopped; another shall be able to start
			proc.Release()
			return context.Cause(ctx)
		}
		proc.Wait()
		text, _ := os.ReadFile(o.Log)
		return fail.Wrap(fail.Unable, errors.Join(err), "the agent did not start: %s", lastLine(text)).
			Hint("see %s", o.Log)
	}
	return proc.Release()
}

// SignalReady tells Ensure that the agent takes requests. It is Options.Ready
// of an agent that Ensure has started.
func SignalReady() {
	f := os.NewFile(3, "ready")
	io.WriteString(f, "r")
	f.Close()
}

func lastLine(text []byte) string {
	s := string(text[max(0, len(text)-512):])
	if s == "" {
		return "it printed nothing"
	}
	return s
}
