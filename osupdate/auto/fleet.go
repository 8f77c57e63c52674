package auto

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// FleetSettings is [fleet] of the settings: who else decides about this host.
type FleetSettings struct {
	Graph    string  `toml:"graph" json:"graph"`     // address of a Cincinnati server or a file, or the path of a file
	Dialect  string  `toml:"dialect" json:"dialect"` // coreos, openshift or file
	Stream   string  `toml:"stream" json:"stream"`   // or OpenShift's channel
	Lock     string  `toml:"lock" json:"lock"`       // address of a FleetLock server
	Group    string  `toml:"group" json:"group"`
	Wariness float64 `toml:"wariness" json:"wariness"` // 0, the first of a roll-out, to 1, the last; -1: by the host's id
	ID       string  `toml:"id" json:"id"`             // empty: made from the machine's id
}

// Fleet is what is asked of the servers of a fleet.
type Fleet interface {
	// Choose says to which release a host may go from the one that runs, of an image
	// where it is made of one.
	Choose(ctx context.Context, here machine.Release, image string, denied func(machine.Release) bool) (Choice, error)
	// Lock asks for a slot. An answer that is no is ErrNoSlot; after all other errors this
	// host may have one.
	Lock(ctx context.Context) error
	Unlock(ctx context.Context) error
}

// Choice is where a host may go.
type Choice struct {
	Release machine.Release // unknown: nowhere
	Image   string          // host/repository of its image; empty where it is none
	Notes   []string        // why it goes no further
}

// ErrNoSlot is a server's word that others hold every slot.
var ErrNoSlot = errors.New("there is no free slot")

// OpenFleet makes the Fleet of settings, for the system below root.
type OpenFleet func(f FleetSettings, root string) (Fleet, error)

func (f *FleetSettings) check() error {
	web := func(key, text string) error {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("%s: %q is no address of http or https", key, text)
		}
		return nil
	}
	if !strings.HasPrefix(f.Graph, "/") {
		if err := web("graph", f.Graph); err != nil {
			return err
		}
	}
	if err := web("lock", f.Lock); err != nil {
		return err
	}
	switch dialects := []string{"coreos", "openshift", "file"}; {
	case !slices.Contains(dialects, f.Dialect):
		return fmt.Errorf("dialect: %q is none of %s", f.Dialect, strings.Join(dialects, ", "))
	case strings.HasPrefix(f.Graph, "/") && f.Dialect != "file":
		return fmt.Errorf("dialect: %s is a file, and needs dialect = \"file\"", f.Graph)
	case f.Wariness != -1 && !(f.Wariness >= 0 && f.Wariness <= 1):
		return fmt.Errorf("wariness: %v is not between 0 and 1", f.Wariness)
	}
	return nil
}

// choose has the fleet choose what is to run next.
func (r *Runner) choose(ctx context.Context, m Memory) (machine.Outcome, error) {
	var o machine.Outcome
	st, err := r.Host.Status(ctx)
	if err != nil {
		return o, err
	}
	image := ""
	if b := st.State.Booted(); b != nil && b.Image != nil {
		image = osupdate.ParseSource(st.State.Tracked).Name
		if slash, colon := strings.LastIndexByte(image, '/'), strings.LastIndexByte(image, ':'); colon > slash {
			image = image[:colon]
		}
	}
	c, err := r.Fleet.Choose(ctx, m.Running, image, func(rel machine.Release) bool {
		return slices.ContainsFunc(m.Denied, func(d machine.Denied) bool { return d.Release.Is(rel) })
	})
	if err != nil {
		return o, err
	}
	if c.Release.Known() && c.Image != "" && image != "" && c.Image != image {
		return o, fail.New(osupdate.ErrNotFound, "the fleet takes %s from %s, and this host follows %s", c.Release.Name(), c.Image, image).
			Hint("have the host follow it: tbx host switch %s:TAG", c.Image)
	}
	o.Found, o.Exact, o.Notes = c.Release, true, c.Notes
	return o, nil
}

// stageExact fetches what the fleet chose. An updater that takes its newest only does so
// where that is the one.
func (r *Runner) stageExact(ctx context.Context, target machine.Release) (*osupdate.Result, error) {
	st, err := r.Host.Status(ctx)
	if err != nil {
		return nil, err
	}
	if st.Capabilities.Can(osupdate.CanVersion) {
		word := cmp.Or(target.Digest, target.Base, target.Content)
		return r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Upgrade, Target: word}, false)
	}
	newest, err := r.newest(ctx)
	if err != nil {
		return nil, err
	}
	if !newest.Is(target) {
		name := newest.Name()
		if name == "" {
			name = "nothing newer"
		}
		return nil, fail.New(osupdate.ErrNotFound, "the fleet takes %s, and %s, which fetches its newest only, finds %s", target.Name(),
			st.State.Backend, name).Hint("have what the host follows lead to %s", target.Name())
	}
	return r.Host.Do(ctx, osupdate.Request{Verb: osupdate.Upgrade}, false)
}

// GiveBack tells the fleet that this host holds no slot any more, where it may hold one:
// for a host that takes no further part in the fleet.
func GiveBack(ctx context.Context, dir string, f Fleet) error {
	m, err := Recall(dir)
	if err != nil || m.Slot == nil {
		return err
	}
	if err := f.Unlock(ctx); err != nil {
		return err
	}
	m.Slot = nil
	return Keep(dir, m)
}
