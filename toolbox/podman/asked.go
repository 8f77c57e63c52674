//go:build remote

package podman

import (
	"context"
	"strings"
	"time"

	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/bindings/containers"

	"github.com/tbx-project/tbx/toolbox"
)

// askedOf is what a container was made with, of what toolbox.Asked has.
func askedOf(d *define.InspectContainerData) toolbox.Asked {
	a := toolbox.Asked{}
	if d.Config != nil {
		a.Hostname = d.Config.Hostname
	}
	if h := d.HostConfig; h != nil {
		a.Network, a.PID = h.NetworkMode, h.PidMode
		a.Memory, a.NanoCPUs, a.Ports = h.Memory, h.NanoCpus, len(h.PortBindings) > 0
	}
	return a
}

// Said implements toolbox.Engine.
func (e *Engine) Said(ctx context.Context, id string, since time.Time, text string) (bool, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	conn, cancel := e.unbounded(ctx)
	defer cancel()
	lines, found := make(chan string), make(chan bool, 1)
	go func() {
		said := false
		for l := range lines {
			if !said && strings.Contains(l, text) {
				said = true
				enough()
			}
		}
		found <- said
	}()
	opts := new(containers.LogOptions).WithStdout(true).WithStderr(true).WithSince(since.Format(time.RFC3339Nano))
	err := containers.Logs(conn, id, opts, lines, lines)
	close(lines)
	if <-found {
		return true, nil
	}
	return false, convert(err)
}
