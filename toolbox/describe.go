package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// Access is one thing of the host that a toolbox can reach.
type Access struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Description is what a toolbox shares with the host.
type Description struct {
	Hostname string
	Home     string
	Mounts   []Mount
	Env      []string
	Access   []Access
	Limits   []Access // limits of an isolated toolbox
	Options  []Access // podman's options for another toolbox
	SpecFile string
}

// Describe lists what a toolbox of tbx can reach, from its specification and its present
// container.
func (m *Manager) Describe(b *Box) (*Description, error) {
	tree := !mounted(b, boxinit.HostView)
	p, err := NewPlan(b.Name, b.Spec, m.Host, Place{BoxDir: boxDir(m.Host), Tree: tree, Bridge: m.mountedBridge(b.Spec)})
	if err != nil {
		return nil, err
	}
	d := &Description{Hostname: b.Spec.Hostname, Home: m.Host.Home, Mounts: p.Mounts, Env: p.Env,
		SpecFile: specFile(m.Host.Dirs.Config, b.Name)}
	if d.Hostname == "" {
		d.Hostname = m.Host.Hostname
	}
	if b.Spec.Home != "" {
		d.Home = fmt.Sprintf("%s (%s on the host)", m.Host.Home, b.Spec.Home)
	}
	if tree {
		for _, mt := range m.Host.facts(b.Spec).View() {
			mt.Options, mt.Reason = []string{"rslave"}, mt.Reason+", attached by tbx at every start"
			d.Mounts = append(d.Mounts, mt)
		}
	}
	if b.Spec.Isolated {
		d.Hostname, d.Home = p.Hostname, m.Host.Home+" (podman's volume "+b.Spec.HomeVolume()+")"
		if b.Ephemeral() {
			d.Home = m.Host.Home + " (a volume of podman's, removed with the toolbox)"
		}
		d.Access, d.Limits = p.reach(), p.options()
		return d, nil
	}
	d.Options = p.options()
	d.Access = []Access{{"your processes, servers on this machine, shared memory",
		"made with --pid host, --network host and --ipc host, as every toolbox that is not isolated"}}
	for _, i := range integration.All() {
		if b.Spec.Has(i.Key) && (b.Spec.Has(integration.HostView) || !i.NeedsHostView) {
			d.Access = append(d.Access, Access{i.What, "not made with --no-" + i.Key})
		}
	}
	return d, nil
}

// reach lists what an isolated toolbox can reach on the host, except the bridge's
// requests, which the policy knows.
func (p *Plan) reach() []Access {
	var out []Access
	for _, mt := range p.Mounts {
		switch {
		case mt.Target == boxinit.BoxDir, mt.Target == boxinit.Bridge:
		case mt.Type == "bind" && slices.Contains(mt.Options, "ro"):
			out = append(out, Access{mt.Source + ", to read", mt.Reason})
		case mt.Type == "bind":
			out = append(out, Access{mt.Source + ", to read and change", mt.Reason})
		}
	}
	for _, d := range p.Devices {
		out = append(out, Access{d, "the GPU, as you asked: its driver in the kernel is reached from inside"})
	}
	if p.Network != "none" {
		out = append(out, Access{"the network that this machine is in", "not made with --no-network; it cannot reach this machine's loopback"})
	}
	return append(out, Access{"the kernel", "it is the host's: a fault in it is a way out"})
}

// options lists the fixed options for a reader.
func (p *Plan) options() []Access {
	var out []Access
	for _, o := range p.fixed() {
		if p.Isolated && o.Value == "0" {
			continue // not a limit
		}
		if o.Flag == "cap-drop" {
			o.Value = "all but " + strings.Join(KeptCapabilities(), " ")
		}
		out = append(out, Access{o.String(), o.Why})
	}
	return out
}

func mounted(b *Box, target string) bool {
	for _, mt := range b.Mounts {
		if mt.Target == target {
			return true
		}
	}
	return false
}

// Logs copies the steps of the toolbox's last start, then the last tail lines of the
// first process's output; -1: all.
func (m *Manager) Logs(ctx context.Context, name Name, tail int, w io.Writer) error {
	b, err := m.Find(ctx, name)
	if err != nil {
		return err
	}
	f, err := os.Open(m.logFile(name))
	if err == nil {
		defer f.Close()
		if err := writeSteps(f, w); err != nil {
			return err
		}
	}
	if b.Started.IsZero() {
		m.Progress.Warn("toolbox "+string(name)+" was not started yet, so there is nothing to show", "start it with: tbx start "+string(name))
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		m.Progress.Warn(fmt.Sprintf("the log of the last start of toolbox %s is missing: %s", name, m.logFile(name)),
			"the next start writes a new one")
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	return e.Logs(ctx, b.ID, tail, safeWriter{w})
}

// safeWriter escapes a container's output, line by line.
type safeWriter struct{ w io.Writer }

func (s safeWriter) Write(p []byte) (int, error) {
	text := string(p)
	end := ""
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text, end = text[:n-1], "\n"
	}
	_, err := io.WriteString(s.w, escape.Text(text)+end)
	return len(p), err
}
