//go:build remote

package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/bindings"
	"github.com/containers/podman/v4/pkg/bindings/containers"
	"github.com/containers/podman/v4/pkg/bindings/images"
	"github.com/containers/podman/v4/pkg/bindings/system"
	"github.com/containers/podman/v4/pkg/errorhandling"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Bindings reports whether this program has podman's bindings.
const Bindings = true

// Engine is podman of the calling user.
type Engine struct {
	conn  context.Context // carries the connection, as the bindings have it
	exits string          // exitsDir
	dir   string          // tbx's runtime directory
}

var _ toolbox.Engine = (*Engine)(nil)

// Connect returns an Engine, starting podman's service if none runs. dir is tbx's runtime
// directory, which it makes. warn gets repairs that were necessary.
func Connect(ctx context.Context, dir string, warn func(text, hint string)) (*Engine, error) {
	uri, err := service(ctx, dir, warn)
	if err != nil {
		return nil, err
	}
	conn, err := bindings.NewConnection(context.WithoutCancel(ctx), uri)
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "podman's service cannot be used")
	}
	c, err := bindings.GetClient(conn)
	if err != nil {
		return nil, err
	}
	c.Client = reviving(dir, warn)
	return &Engine{conn, exitsDir(filepath.Dir(dir)), dir}, nil
}

// Client returns the HTTP client of the connection, for package images/podman.
func (e *Engine) Client() *http.Client {
	c, err := bindings.GetClient(e.conn)
	if err != nil {
		return nil // never: e.conn has a connection
	}
	return c.Client
}

// callTimeout bounds a call of podman that should take a second at most, so that tbx can
// report a podman that hangs. create is not bounded: it may copy an image.
const callTimeout = 90 * time.Second

// with returns the connection under the deadline and cancellation of ctx, and
// callTimeout.
func (e *Engine) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithTimeoutCause(ctx, callTimeout, fail.New(fail.Unable, "podman has not answered for %v", callTimeout).
		Hint("see whether this answers: podman ps"))
	conn, cancel := e.unbounded(ctx)
	return conn, func() { cancel(); end() }
}

func (e *Engine) unbounded(ctx context.Context) (context.Context, context.CancelFunc) {
	conn, cancel := context.WithCancelCause(e.conn)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return conn, func() { stop(); cancel(nil) }
}

// List implements toolbox.Engine.
func (e *Engine) List(ctx context.Context) ([]toolbox.Container, error) {
	return e.Labelled(ctx, toolbox.LabelToolbx+"=true")
}

// Labelled implements toolbox.Engine.
func (e *Engine) Labelled(ctx context.Context, label string) ([]toolbox.Container, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	list, err := containers.List(conn, new(containers.ListOptions).WithAll(true).
		WithFilters(map[string][]string{"label": {label}}))
	if err != nil {
		return nil, convert(err)
	}
	out := make([]toolbox.Container, 0, len(list))
	for _, c := range list {
		out = append(out, toolbox.Container{
			ID: c.ID, Name: c.Names[0], Image: c.Image, ImageID: c.ImageID, State: toolbox.State(c.State), ExitCode: int(c.ExitCode),
			Created: c.Created, Started: startedAt(c.StartedAt), PID: c.Pid, Labels: c.Labels, Command: c.Command,
		})
	}
	return out, nil
}

// Stored implements toolbox.Engine.
func (e *Engine) Stored(ctx context.Context) ([]string, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	list, err := containers.List(conn, new(containers.ListOptions).WithAll(true).WithExternal(true))
	if err != nil {
		return nil, convert(err)
	}
	var out []string
	for _, c := range list {
		if c.State == "storage" {
			out = append(out, c.Names...)
		}
	}
	return out, nil
}

func startedAt(unix int64) time.Time {
	if unix <= 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0)
}

// NamesTable implements toolbox.Engine.
func (e *Engine) NamesTable(ctx context.Context) (string, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	info, err := system.Info(conn, nil)
	if err != nil {
		return "", convert(err)
	}
	if info.Store == nil || info.Store.GraphRoot == "" {
		return "", errors.New("podman does not tell where it keeps containers")
	}
	return filepath.Join(info.Store.GraphRoot, info.Store.GraphDriverName+"-containers", "containers.json"), nil
}

// Inspect implements toolbox.Engine.
func (e *Engine) Inspect(ctx context.Context, nameOrID string) (*toolbox.Container, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	d, err := containers.Inspect(conn, nameOrID, nil)
	if err != nil {
		return nil, convert(err)
	}
	c := &toolbox.Container{
		ID: d.ID, Name: d.Name, Image: d.ImageName, ImageID: d.Image, Created: d.Created, Runtime: d.OCIRuntime,
		Labels: d.Config.Labels, Env: d.Config.Env, Command: d.Config.Cmd,
		// StaticDir is GRAPHROOT/overlay-containers/ID/userdata.
		NamesTable: filepath.Join(filepath.Dir(filepath.Dir(d.StaticDir)), "containers.json"),
	}
	if s := d.State; s != nil {
		c.State, c.ExitCode, c.PID = toolbox.State(s.Status), int(s.ExitCode), s.Pid
		if s.StartedAt.Year() > 1 {
			c.Started = s.StartedAt
		}
	}
	c.Mounts, c.Volumes = mappings(d)
	c.Asked = askedOf(d)
	return c, nil
}

// mappings returns the mounts of a container that its user asked for: of directories of
// the host, and others.
func mappings(d *define.InspectContainerData) (dirs, volumes []toolbox.Mapping) {
	for _, m := range d.Mounts {
		mt := toolbox.Mapping{Source: m.Source, Target: m.Destination, Options: m.Options, Volume: m.Name}
		if !m.RW {
			mt.Options = append(mt.Options, "ro")
		}
		switch {
		case m.Type == define.TypeVolume:
			volumes = append(volumes, mt)
		case m.Type == define.TypeBind && m.Source != "": // a devpts is a bind without a source to podman
			dirs = append(dirs, mt)
		}
	}
	if d.HostConfig != nil {
		for target := range d.HostConfig.Tmpfs {
			volumes = append(volumes, toolbox.Mapping{Target: target})
		}
	}
	return dirs, volumes
}

// Create implements toolbox.Engine.
func (e *Engine) Create(ctx context.Context, p *toolbox.Plan) (string, error) {
	conn, cancel := e.unbounded(ctx)
	defer cancel()
	if p.Isolated {
		if err := writeSeccomp(p.Seccomp); err != nil {
			return "", err
		}
	}
	s, err := specOf(p, pasta(conn))
	if err != nil {
		return "", err
	}
	if p.Pod != "" {
		if err := ensurePod(conn, p.Pod); err != nil {
			return "", err
		}
		s.Pod = p.Pod
	}
	resp, err := containers.CreateWithSpec(conn, s, nil)
	if err != nil {
		return "", convert(err)
	}
	return resp.ID, nil
}

// Start implements toolbox.Engine.
func (e *Engine) Start(ctx context.Context, id string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	return convert(containers.Start(conn, id, nil))
}

// Stop implements toolbox.Engine.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	seconds := uint((grace + time.Second - 1) / time.Second)
	return convert(containers.Stop(conn, id, new(containers.StopOptions).WithTimeout(seconds)))
}

// Bury implements toolbox.Engine. The monitor (conmon) leaves a file with the exit code,
// and podman believes that the container runs until it finds one: podman 4.3 for ever,
// 5.4 until it is told to stop it. Without that file a stop leaves 4.3 in a state without
// a way out.
func (e *Engine) Bury(ctx context.Context, id string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	d, err := containers.Inspect(conn, id, nil)
	if err != nil {
		return convert(err)
	}
	switch toolbox.State(d.State.Status) {
	case toolbox.Running, toolbox.Paused, toolbox.Stopping:
	default:
		return nil
	}
	if gone(d.State.ConmonPid) && gone(d.State.Pid) {
		return writeExit(e.exits, d.ID)
	}
	return nil
}

// exitsDir is the directory for conmon's exit codes.
func exitsDir(runtime string) string { return filepath.Join(runtime, "libpod/tmp/exits") }

// writeExit tells podman that a container was killed, as its monitor does.
func writeExit(dir, id string) error {
	const killed = "137"
	if err := os.WriteFile(filepath.Join(dir, id), []byte(killed), 0o600); err != nil {
		return fmt.Errorf("podman cannot be told that the container ended: %w", err)
	}
	return nil
}

// gone reports whether there is no such process. A zombie counts as gone: it only waits
// for its parent.
func gone(pid int) bool {
	if pid <= 0 {
		return true
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(data, []byte(") Z "))
}

// Remove implements toolbox.Engine.
func (e *Engine) Remove(ctx context.Context, id string, force bool) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	_, err := containers.Remove(conn, id, new(containers.RemoveOptions).WithForce(force).WithVolumes(true).WithTimeout(0))
	return convert(err)
}

// Rename implements toolbox.Engine.
func (e *Engine) Rename(ctx context.Context, id, name string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	return convert(containers.Rename(conn, id, new(containers.RenameOptions).WithName(name)))
}

// ImageNames returns the names of all images, for completion.
func (e *Engine) ImageNames(ctx context.Context) ([]string, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	list, err := images.List(conn, nil)
	if err != nil {
		return nil, convert(err)
	}
	var out []string
	for _, i := range list {
		out = append(out, i.RepoTags...)
	}
	return out, nil
}

// Logs implements toolbox.Engine.
func (e *Engine) Logs(ctx context.Context, id string, tail int, w io.Writer) error {
	conn, cancel := e.unbounded(ctx)
	defer cancel()
	opts := new(containers.LogOptions).WithStdout(true).WithStderr(true)
	if tail >= 0 {
		opts.WithTail(fmt.Sprint(tail))
	}
	lines := make(chan string)
	copied := make(chan error, 1)
	go func() {
		var err error
		for l := range lines {
			if err == nil {
				_, err = io.WriteString(w, strings.TrimSuffix(l, "\n")+"\n")
			}
		}
		copied <- err
	}()
	err := containers.Logs(conn, id, opts, lines, lines)
	close(lines)
	return errors.Join(convert(err), <-copied)
}

// convert gives an error of the bindings its kind, and drops their additions to the
// service's text.
func convert(err error) error {
	if err == nil {
		return nil
	}
	var model *errorhandling.ErrorModel
	if !errors.As(err, &model) {
		return err
	}
	cause := errors.New(clean(model.Message))
	switch {
	// The service says "no such container" while it is being removed.
	case model.ResponseCode == http.StatusNotFound, strings.HasSuffix(model.Message, "no such container"):
		return &fail.Error{Kind: fail.NotFound, Cause: cause}
	case strings.HasPrefix(model.Message, "getting container from store"), strings.HasSuffix(model.Message, ": container not known"):
		return &fail.Error{Kind: toolbox.ErrNoStorage, Cause: cause}
	case strings.Contains(model.Message, "is already in use"):
		return &fail.Error{Kind: fail.Exists, Cause: cause}
	case strings.Contains(model.Message, "no space left on device"):
		return (&fail.Error{Cause: cause}).Hint("make room: see df -h and podman system df")
	case strings.Contains(model.Message, "insufficient UIDs or GIDs"), strings.Contains(model.Message, "subuid"):
		return subidHint(&fail.Error{Kind: fail.Unable, Cause: cause})
	case strings.Contains(model.Message, "setrlimit"):
		return (&fail.Error{Cause: cause}).Hint("a limit of the host is lower than when the toolbox was made; raise it again (see ulimit -a)")
	}
	return cause
}

// clean puts podman's error on one line.
func clean(msg string) string { return strings.Join(strings.Fields(msg), " ") }
