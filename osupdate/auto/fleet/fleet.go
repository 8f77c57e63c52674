// Package fleet makes what a host asks of its fleet from the settings: a graph of
// releases (package cincinnati) and a lock (package fleetlock). It puts their answers into
// the words and the kinds of failure of package auto, and decides nothing. What it
// contains of net/http is why it is a package of its own: tbx, which only shows the state,
// does without.
package fleet

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/cincinnati"
	"github.com/tbx-project/tbx/osupdate/auto/fleetlock"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// Fleet is an auto.Fleet.
type Fleet struct {
	Settings  auto.FleetSettings
	Root      string // of the system
	ID        string // of this host
	Transport http.RoundTripper
	Now       func() time.Time

	lock *fleetlock.Client
}

var _ auto.Fleet = (*Fleet)(nil)

// Open is an auto.OpenFleet.
func Open(s auto.FleetSettings, root string) (auto.Fleet, error) {
	f := &Fleet{Settings: s, Root: root, Now: time.Now, Transport: http.DefaultTransport}
	return f, f.Connect()
}

// Connect finds the host's id, and makes the client of the lock. It asks nobody.
func (f *Fleet) Connect() error {
	if f.ID == "" {
		id, err := hostID(f.Settings.ID, f.Root)
		if err != nil {
			return err
		}
		f.ID = id
	}
	if f.Settings.Lock == "" {
		return nil
	}
	lock, err := fleetlock.New(f.Settings.Lock, f.Settings.Group, f.ID, f.Transport)
	if err != nil {
		return fail.Wrap(fail.Usage, err, "the settings of the fleet").Hint("see [fleet] in /etc/tbx/host.toml")
	}
	f.lock = lock
	return nil
}

// Choose is that of auto.Fleet.
func (f *Fleet) Choose(ctx context.Context, here machine.Release, image string, denied func(machine.Release) bool) (auto.Choice, error) {
	s, arch := &f.Settings, architecture()
	q := cincinnati.Query{
		Architecture: arch, Stream: s.Stream, Version: here.Version, Payload: payload(here, image), OCI: image != "", Group: s.Group, Node: f.ID,
		Platform: platform(f.Root), Wariness: s.Wariness,
	}
	dialect := cincinnati.Dialect(s.Dialect)
	where, err := cincinnati.Address(s.Graph, dialect, q)
	if err != nil {
		return auto.Choice{}, fail.Wrap(fail.Usage, err, "the settings of the fleet").Hint("see [fleet] in /etc/tbx/host.toml")
	}
	if strings.HasPrefix(where, "/") && f.Root == "/" && os.Geteuid() == 0 {
		if err := rootonly.Check(where); err != nil {
			return auto.Choice{}, fail.Wrap(fail.Unable, err, "the fleet's graph %s is not believed", where).
				Hint("have it belong to root, and be writable by nobody else")
		}
	}
	g, err := cincinnati.Get(ctx, f.Transport, where, arch)
	if err != nil {
		return auto.Choice{}, f.explain(err)
	}
	a := g.Next(cincinnati.Here{IDs: ids(here), Version: here.Version}, cincinnati.Options{
		Denied: func(n *cincinnati.Node) bool { return denied(release(n)) }, Now: f.Now(), Wariness: f.wariness(),
	})
	c := auto.Choice{Notes: a.Notes}
	if a.Target != nil {
		c.Release, c.Image = release(a.Target), a.Target.Repository()
	}
	return c, nil
}

// wariness is this host's place in a roll-out that the source leaves to the hosts.
func (f *Fleet) wariness() float64 {
	if f.Settings.Wariness >= 0 {
		return f.Settings.Wariness
	}
	return share(f.ID)
}

// explain puts the failure of a graph into words and a kind.
func (f *Fleet) explain(err error) error {
	var r *cincinnati.Refusal
	switch where := f.Settings.Graph; {
	case errors.Is(err, cincinnati.ErrGraph):
		return fail.Wrap(osupdate.ErrBadOutput, err, "the fleet's graph at %s is not believed", where).
			Hint("see what is there, and the dialect in [fleet] of /etc/tbx/host.toml")
	case errors.As(err, &r) && r.Status < 500:
		return fail.Wrap(osupdate.ErrBadOutput, err, "the fleet's graph at %s", where).
			Hint("see the address and the stream in [fleet] of /etc/tbx/host.toml")
	case strings.HasPrefix(where, "/"):
		return fail.Wrap(osupdate.ErrNotFound, err, "the fleet's graph").Hint("see whether it is there, and whether root may read it")
	}
	return fail.Wrap(osupdate.ErrNetwork, err, "the fleet's graph cannot be asked for").
		Hint("check the network and the server; it is tried again")
}

// Lock is that of auto.Fleet.
func (f *Fleet) Lock(ctx context.Context) error { return f.slot(f.lock.Lock(ctx)) }

// Unlock is that of auto.Fleet.
func (f *Fleet) Unlock(ctx context.Context) error { return f.slot(f.lock.Unlock(ctx)) }

// slot puts an answer of the lock into words and a kind.
func (f *Fleet) slot(err error) error {
	var r *fleetlock.Refusal
	switch where := f.Settings.Lock; {
	case err == nil:
		return nil
	case errors.As(err, &r) && !r.Mistaken():
		return fail.Wrap(auto.ErrNoSlot, err, "the fleet's lock at %s", where).Hint("see who holds the slots at the server")
	case errors.As(err, &r):
		return fail.Wrap(fail.Unable, err, "the fleet's lock at %s takes nothing of this host", where).
			Hint("see the group %s and the address in [fleet] of /etc/tbx/host.toml", f.Settings.Group)
	case errors.Is(err, fleetlock.ErrAnswer):
		return fail.Wrap(osupdate.ErrBadOutput, err, "the fleet's lock at %s", where).Hint("see whether the network wants a sign-in")
	}
	return fail.Wrap(osupdate.ErrNetwork, err, "the fleet's lock cannot be asked").
		Hint("check the network and the server; it is tried again")
}

// payload is what a server calls the release that runs.
func payload(here machine.Release, image string) string {
	switch {
	case image != "" && here.Digest != "":
		return image + "@" + here.Digest
	case here.Base != "":
		return here.Base
	}
	return here.Content
}

// ids are all that a graph may call the release that runs by.
func ids(here machine.Release) []string {
	var out []string
	for _, id := range []string{here.Content, here.Digest, here.Base} {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

// release is a node as the machine knows it.
func release(n *cincinnati.Node) machine.Release {
	switch {
	case n.Digest() != "":
		return machine.Release{Digest: n.Digest(), Version: n.Version}
	case n.Payload != "":
		return machine.Release{Base: n.Payload, Version: n.Version}
	}
	return machine.Release{Content: n.Version, Version: n.Version}
}

// architecture is this machine's, as Fedora writes it.
func architecture() string {
	if name, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]; ok {
		return name
	}
	return runtime.GOARCH
}

// platform is what Ignition was told of the machine; empty elsewhere.
func platform(root string) string {
	data, err := os.ReadFile(filepath.Join(root, "proc/cmdline"))
	if err != nil {
		return ""
	}
	for word := range strings.FieldsSeq(string(data)) {
		if name, ok := strings.CutPrefix(word, "ignition.platform.id="); ok {
			return name
		}
	}
	return ""
}
